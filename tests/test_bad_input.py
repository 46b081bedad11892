"""Wrong input: one line ``file:line:column: where: what`` per problem, before anything is computed."""

import ast
import os
import pickle
import re
import warnings
from pathlib import Path

import pytest

import designspace as ds
from designspace.cli.errors import clean_errors
from designspace.errors import Kind, RowError
from designspace.spec import SpecError, load

SOURCES = Path(ds.__file__).parent

GOOD = """\
name: good
data: digits
denoiser: exact
design: edm
evaluate: {images: 50, detector: pixels, metrics: [frechet]}
"""

# For each case, text that is appended to GOOD, or replaces it if it has `data:`; and a part of each line expected.
TABLE = {
    "unknown component": (
        "grid: {solver: [euler, hein]}",
        ["6:24: grid.solver.1: unknown solver 'hein'. Did you mean 'heun'? Known:"],
    ),
    "unknown component in a row": (
        "data: digits\ndenoiser: exact\ndesign:\n  preset: edm\n  solver: eulr\n",
        ["5:11: design.solver: unknown solver 'eulr'. Did you mean 'euler'?"],
    ),
    "unknown component of a section": (
        "data: digitz\ndenoiser: {name: exakt}\ndesign: edm",
        ["1:7: data: unknown data 'digitz'. Did you mean 'digits'?", "2:18: denoiser.name: unknown denoiser 'exakt'."],
    ),
    "unknown field": (
        "data: digits\ndenoiser: exact\ndesign:\n  preset: edm\n  time_steps: {sigma_mx: 3}",
        ["5:16: design.time_steps.sigma_mx: unknown field 'sigma_mx'. Did you mean 'sigma_max'? Fields: sigma_min,"],
    ),
    "unknown field of a value": (
        "grid:\n  solver:\n    - euler\n    - name: heun\n      alhpa: 0.5",
        ["10:7: grid.solver.1.alhpa: unknown field 'alhpa'. Did you mean 'alpha'?"],
    ),
    "misspelled row": (
        "data: digits\ndenoiser: exact\ndesign: {preset: edm, sovler: euler}",
        ["3:23: design.sovler: unknown field 'sovler'. Did you mean 'solver'?"],
    ),
    "misspelled key": ("gird: {solver: [euler]}", ["6:1: gird: unknown field 'gird'. Did you mean 'grid'?"]),
    "misspelled section": (
        "data: digits\ndenoisr: exact\ndesign: edm",
        ["2:1: denoisr: unknown field 'denoisr'. Did you mean 'denoiser'?"],
    ),
    "misspelled setting": (
        "data: digits\ndenoiser: exact\ndesign: edm\nevaluate:\n  imges: 50",
        ["5:3: evaluate.imges: unknown field 'imges'. Did you mean 'images'?"],
    ),
    "out of its domain": (
        "grid: {time_steps.rho: [7, -1]}",
        ["6:28: grid.time_steps.rho.1: should be greater than 0, not -1"],
    ),
    "out of its domain in the design": (
        "data: digits\ndenoiser: exact\ndesign: {preset: edm, time_steps: {rho: -1}}",
        ["3:41: design.time_steps.rho: should be greater than 0, not -1"],
    ),
    "empty range": (
        "grid: {time_steps.sigma_min: [0.002, 90]}",
        ["6:38: grid.time_steps.sigma_min.1: sigma_min = 90.0 is not below sigma_max = 80.0"],
    ),
    "NaN": ("grid: {time_steps.rho: [.nan]}", ["6:25: grid.time_steps.rho.0: "]),
    "NaN where infinity is allowed": (
        "grid: {stochasticity: [{name: churn, S_max: .nan}]}",
        ["6:45: grid.stochasticity.0.S_max: NaN is not allowed"],
    ),
    "repeated key": ("design: vp", ["6:1: design: is given twice, first in line 4"]),
    "repeated keys deep and twice": (
        "grid: {solver: [euler], solver: [heun]}\nclaims: []\nclaims: []",
        ["6:25: grid.solver: is given twice, first in line 6", "8:1: claims: is given twice, first in line 7"],
    ),
    "text for a number": (
        "grid: {time_steps.rho: [seven]}",
        ["6:25: grid.time_steps.rho.0: should be a number, not 'seven'"],
    ),
    "number for a component": ("grid: {solver: [7]}", ["6:17: grid.solver.0: solver is a name or a mapping"]),
    "number for a design": (
        "data: digits\ndenoiser: exact\ndesign: 3",
        ["3:9: design: should be the name of a preset or a mapping of rows, not 3"],
    ),
    "scalar for an axis": ("grid: {nfe: 7}", ["6:13: grid.nfe: should be a list, not 7"]),
    "list for a part": ("grid: [solver, nfe]", ["6:7: grid: should be a mapping"]),
    "fraction of a step": ("num_steps: 2.5", ["6:12: num_steps: should be an integer, not 2.5"]),
    "no data file": (
        "data: {name: zip, path: no/such.zip}\ndenoiser: exact\ndesign: edm",
        ["1:7: data: there is no ", "/no/such.zip"],
    ),
    "no component file": ("components: [./mine.py]", ["6:14: components.0: no such file: ", "/mine.py."]),
    "misspelled component file": (
        "components:\n- ./good_part.py\n- ./brokn.py",
        ["8:3: components.1: no such file: ", "Did you mean 'broken.py'?"],
    ),
    "no component module": ("components: [no_such_module]", ["6:14: components.0: No module named 'no_such_module'"]),
    "component file that raises": (
        "components: [broken.py]\ngrid: {solver: [mine]}",
        ["6:14: components.0: broken.py fails: ZeroDivisionError: division by zero (", "broken.py:2)"],
    ),
    "component file that does not parse": (
        "components: [syntax.py]",
        ["6:14: components.0: syntax.py fails: SyntaxError: ", "syntax.py:2)"],
    ),
    "component that is there already": (
        "components: [twice.py]",
        ["6:14: components.0: twice.py fails: TypeError: solver 'heun' is defined twice: in ", "heun.py:Heun and in"],
    ),
    "tab": ("grid:\n\tsolver: [euler]", ["7:1: is not YAML: found character '\\t' that cannot start any token"]),
    "unclosed bracket": (
        "grid: {nfe: [7, 11}\n",
        ["6:19: is not YAML: expected ',' or ']', but got '}' (while parsing a flow sequence that starts in line 6)"],
    ),
    "control character": ("question: a\x01b", ["6:12: is not YAML: special characters are not allowed"]),
    "unknown tag": (
        "question: !!python/object:os.system ls",
        ["6:11: question: unknown tag ", "or a value that it does not allow"],
    ),
    "mapping with an unknown tag": (
        "question: !!python/object/apply:os.system [ls]",
        ["6:11: question: unknown tag tag:yaml.org,2002:python/object/apply:os.system"],
    ),
    "binary": ("question: !!binary aGVsbG8=", ["6:11: question: no field takes binary data"]),
    "not a truth value": ("question: !!bool maybe", ["6:11: question: unknown tag tag:yaml.org,2002:bool, or a value"]),
    "an anchor twice": ("question: &q a\nnum_steps: &q 5", ["7:12: is not YAML: the anchor 'q' is defined twice"]),
    "a number beyond all others": (
        "grid: {time_steps.rho: [1e999, -1e999]}",
        ["6:25: grid.time_steps.rho.0: 1e999 is too large", "6:32: grid.time_steps.rho.1: -1e999 is too large"],
    ),
    "a number of many digits": (
        f"num_steps: {'1' * 10_000}",
        ["6:12: num_steps: is a number of 10,000 characters; the limit is 300"],
    ),
    "escape sequence": ('question: "\\x1b[31m"', ["6:11: question: has the control character \\x1b"]),
    "half a character": ('question: "\\ud800"', ["6:11: question: has the control character \\ud800"]),
    "newline in a name": ('grid: {"a\\nb": [1]}', ["6:8: grid: a key has the control character \\n"]),
    "a long text": (
        f"question: {'x' * 20_000}",
        ["6:11: question: is a text of 20,000 characters; the limit is 10,000"],
    ),
    "a long value": (
        f"grid: {{time_steps.rho: [{'x' * 9_000}]}}",
        ["6:25: grid.time_steps.rho.0: should be a number, not 'xxxx"],
    ),
    "a field of the design beside it": (
        "time_steps.rho: 3",
        ["6:1: time_steps.rho: unknown field 'time_steps.rho' at the top level. Did you mean design: {preset: "],
    ),
    "sigma_data beside the design": (
        "sigma_data: 1",
        ["1:1: sigma_data: ", "Did you mean design: {preset: edm, sigma_"],
    ),
    "a field of the evaluation beside it": ("images: 50", ["6:1: images: ", "Did you mean evaluate: {images: ..}?"]),
    "images beyond all memory": (
        "grid: {evaluate.images: [1e12]}",
        ["6:26: grid.evaluate.images.0: should be at most 10000000, not 1000000000000: the features of more images"],
    ),
    "steps beyond all time": (
        "grid: {num_steps: [5, 1e9]}",
        ["6:23: grid.num_steps.1: should be at most 10000, not 1000000000: more would take days"],
    ),
    "repeats beyond all time": (
        "grid: {evaluate.repeats: [1e6]}",
        ["6:27: grid.evaluate.repeats.0: should be at most 1000, not 1000000: each repeat is a trial of its own"],
    ),
    "a seed beyond 64 bits": ("grid: {seed: [99999999999999999999]}", ["6:15: grid.seed.0: should be at most 92233"]),
    "more points than a grid may have": (
        f"grid: {{seed: {[*range(400)]}, num_steps: {[*range(2, 302)]}}}",
        ["6:1: grid: the axes give 120,000 points (400 x 300); the limit is 100,000: use fewer values"],
    ),
    "more trials than a grid may have": (
        f"grid: {{seed: {[*range(200)]}, num_steps: [5, 6], evaluate.repeats: [300]}}",
        ["5:11: evaluate.repeats: 400 points with their repeats are 120,000 trials; the limit is 100,000"],
    ),
    "a class without a name": (
        "components: [nameless.py]",
        ["6:14: components.0: nameless.py: class Mine has no name, so no spec can use it: write class Mine(CIn, name="],
    ),
    "a claim of a number that the grid misspells": (
        "grid: {time_steps.rho: [3, 7o]}\nclaims:\n"
        "- {say: s, expect: {less: [{time_steps.rho: 3}, {time_steps.rho: 70}], metric: frechet}}",
        ["6:28: grid.time_steps.rho.1: should be a number, not '7o'"],
    ),
    "unknown anchor": ("question: *q", ["6:11: is not YAML: found undefined alias 'q'"]),
    "two documents": ("---\nname: again", ["6:1: is not YAML: but found another document"]),
    "not a mapping": ("- data: digits\n- design: edm", ["1:1: should be a mapping of fields, not ["]),
    "only text": ("data:digits", ["1:1: should be a mapping of fields, not 'data:digits'"]),
    "a colon in a scalar": ("question: data: what?", ["1:15: is not YAML: mapping values are not allowed here"]),
    "missing sections": (
        "question: 'data: what?'",
        ["1:1: data: is missing", "1:1: denoiser: is missing", "1:1: design: is missing"],
    ),
    "missing row": (
        "data: digits\ndenoiser: exact\ndesign: {solver: euler, time_steps: edm}",
        ["3:9: design.schedule: is missing", "3:9: design.loss_weight: is missing"],
    ),
    "axis of no field": (
        "grid: {solvr: [euler]}",
        ["6:8: grid.solvr: unknown field 'solvr'. Did you mean 'solver'?"],
    ),
    "axis without its row": (
        "grid:\n  rho: [3, 7]",
        ["7:3: grid.rho: unknown field 'rho'. Did you mean 'time_steps.rho'?"],
    ),
    "axis of an unknown field": (
        "grid: {time_steps.roh: [3, 7]}",
        ["6:8: grid.time_steps.roh: unknown field 'roh'. Did you mean 'rho'?"],
    ),
    "axis inside a number": (
        "grid: {num_steps.x: [3]}",
        ["6:8: grid.num_steps.x: unknown field 'num_steps.x'."],
    ),
    "axis without values": ("grid: {solver: []}", ["6:16: grid.solver: has no values"]),
    "axes of a zip that differ": (
        "zip:\n  solver: [euler, heun]\n  nfe: [7, 11, 19]",
        ["8:8: zip.nfe: has 3 values, but solver has 2: the axes of a zip advance together"],
    ),
    "two axes for one field": (
        "grid: {solver: [euler]}\nzip: {design.solver: [heun]}",
        ["6:8: grid.solver: sets what zip.design.solver sets"],
    ),
    "nfe and num_steps": (
        "grid: {num_steps: [7], nfe: [7]}",
        ["6:24: grid.nfe: sets what grid.num_steps sets"],
    ),
    "nfe and num_steps in the baseline": ("num_steps: 18\nnfe: 7", ["7:1: nfe: num_steps is given too"]),
    "a set of an unknown field": (
        "grid: {size: [{label: large, set: {time_step.rho: 3}}]}",
        ["6:36: grid.size.0.set.time_step.rho: unknown field 'time_step.rho'. Did you mean 'time_steps.rho'?"],
    ),
    "a set with an unknown key": (
        "cumulative:\n- {lable: Euler, set: {solver: euler}}",
        ["7:4: cumulative.0.lable: unknown field 'lable'. Did you mean 'label'?"],
    ),
    "a stage that is wrong": (
        "cumulative:\n- {label: vp, set: {schedule: vp, scaling: vq}}",
        ["7:44: cumulative.0.set.scaling: unknown scaling 'vq'. Known: flow, none, vp."],
    ),
    "two values of one name": (
        "grid: {solver: [{label: a, set: {solver: euler}}, {label: a, set: {solver: heun}}]}",
        ["6:51: grid.solver.1: another value is also called 'a'"],
    ),
    "a value given twice": (
        "grid: {solver: [euler, heun, euler], time_steps.rho: [3, 5, 3.0]}",
        ["6:30: grid.solver.2: 'euler' is given twice", "6:61: grid.time_steps.rho.2: '3.0' is given twice"],
    ),
    "a change given twice": (
        "one_at_a_time: {solver: [euler, euler]}",
        ["6:33: one_at_a_time.solver.1: 'euler' is given twice"],
    ),
    "nfe too small": (
        "grid: {nfe: [2, 1]}",
        ["6:14: grid.nfe.0: solver heun needs at least 3 evaluations, not 2", "6:17: grid.nfe.1: "],
    ),
    "axis without values beside a good one": (
        "grid: {nfe: [1e3, 100000000000000000000000], num_steps: []}",
        ["6:57: grid.num_steps: has no values", "6:19: grid.nfe.1: should be at most 10000, not 1000000"],
    ),
    "nfe of nothing": ("nfe: 0", ["6:6: nfe: should be at least 1, not 0"]),
    "one step": ("grid: {num_steps: [18, 1]}", ["6:24: grid.num_steps.1: should be at least 2, not 1"]),
    "one step in the baseline": ("num_steps: 1", ["6:12: num_steps: should be at least 2, not 1"]),
    "more steps than iDDPM has levels": (
        "grid: {num_steps: [18, 2000], time_steps: [edm, iddpm]}",
        ["6:49: grid.time_steps.1: time_steps iddpm: 2000 steps, but its grid has only 992 levels"],
    ),
    "more steps than the baseline has levels": (
        "data: digits\ndenoiser: exact\ndesign: iddpm\ngrid: {num_steps: [2000]}",
        ["4:20: grid.num_steps.0: time_steps iddpm: 2000 steps"],
    ),
    "alpha that goes below zero": (
        "grid: {solver.alpha: [1, 3.5]}",
        ["6:26: grid.solver.alpha.1: solver heun(alpha=3.5): the step from sigma = "],
    ),
    "rows beside a preset": (
        "data: digits\ndenoiser: exact\ndesign:\n  preset: edm\n  time_steps: {sigma_min: 3, sigma_max: 2}",
        ["5:15: design.time_steps: sigma_min = 3.0 is not below sigma_max = 2.0"],
    ),
    "churn with a multistep solver": (
        "grid: {stochasticity: [none, {name: churn, S_churn: 40}], solver: [heun, dpmpp_2m]}",
        ["6:30: grid.stochasticity.1: churn adds noise between steps, which invalidates the history of the multistep"],
    ),
    "churn under a multistep solver": (
        "data: digits\ndenoiser: exact\ndesign: {preset: edm, stochasticity: churn}\ngrid: {solver: [heun, dpmpp_2m]}",
        ["3:38: design.stochasticity: churn adds noise between steps"],
    ),
    "unknown preset": (
        "data: digits\ndenoiser: exact\ndesign: emd",
        ["3:9: design: unknown preset 'emd'. Did you mean 'edm'?"],
    ),
    "unknown preset in a mapping and an axis": (
        "data: digits\ndenoiser: exact\ndesign: {preset: emd}\ngrid: {design: [vp, vpp]}",
        ["4:21: grid.design.1: unknown preset 'vpp'."],
    ),
    "claim that matches no trial": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {less: [{nfe: 7}, {nfe: 12}], metric: frechet}}",
        ["8:44: claims.0.expect.less.1.nfe: claim matches no trial: no point has nfe = 12. Did you mean 11?"],
    ),
    "claim of an unknown axis": (
        "grid: {solver: [euler, heun]}\nclaims:\n"
        "- {say: s, expect: {less: [{sovler: heun}, {solver: euler}], metric: frechet}}",
        ["8:29: claims.0.expect.less.0.sovler: claim matches no trial: there is no axis 'sovler'. Did you mean"],
    ),
    "claim of an unknown value": (
        "grid: {solver: [euler, heun]}\nclaims:\n"
        "- {say: s, expect: {less: [{solver: huen}, {solver: euler}], metric: frechet}}",
        ["8:37: claims.0.expect.less.0.solver: claim matches no trial: no point has solver = 'huen'. Did you mean"],
    ),
    "claim of values that never meet": (
        "zip: {solver: [euler, heun], nfe: [7, 11]}\nclaims:\n"
        "- {say: s, expect: {less: [{solver: heun, nfe: 7}, {solver: euler}], metric: frechet}}",
        ["8:28: claims.0.expect.less.0: claim matches no trial: no point has solver = heun, nfe = 7 together"],
    ),
    "claim of a value that the grid misspells": (
        "grid: {solver: [euler, huen]}\nclaims:\n"
        "- {say: s, expect: {less: [{solver: heun}, {solver: euler}], metric: frechet}}",
        ["6:24: grid.solver.1: unknown solver 'huen'. Did you mean 'heun'?"],
    ),
    "interaction with an axis that is fixed": (
        "grid: {solver: [euler, heun], nfe: [7, 11]}\nclaims:\n"
        "- {say: s, expect: {interaction: [{nfe: 7}, {nfe: 11}], with: nfe, metric: frechet}}",
        ["8:36: claims.0.expect.interaction.0.nfe: is the axis that 'with' names, so it cannot be fixed"],
    ),
    "interaction with one level": (
        "zip: {solver: [euler, heun], nfe: [7, 11]}\nclaims:\n"
        "- {say: s, expect: {interaction: [{solver: euler}, {solver: heun}], with: nfe, metric: frechet}}",
        ["8:75: claims.0.expect.with: there is only one value of nfe at solver = euler"],
    ),
    "interaction without an axis": (
        "grid: {solver: [euler, heun], nfe: [7, 11]}\nclaims:\n"
        "- {say: s, expect: {interaction: [{solver: euler}, {solver: heun}], metric: frechet}}",
        ["8:20: claims.0.expect.with: is missing"],
    ),
    "claim of an unknown metric": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {less: [{nfe: 7}, {nfe: 11}], metric: frechte}}",
        ["8:58: claims.0.expect.metric: 'frechte' is not measured. Did you mean 'frechet'? Metrics: frechet."],
    ),
    "claim of three": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {less: [{nfe: 7}, {nfe: 11}, {nfe: 7}], metric: frechet}}",
        ["8:27: claims.0.expect.less: compares two points, the lower one first: [{..}, {..}]; 3 given"],
    ),
    "claim of one": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {less: [{nfe: 7}], metric: frechet}}",
        ["8:27: claims.0.expect.less: compares two points, the lower one first: [{..}, {..}]; 1 given"],
    ),
    "claim of a point against itself": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {less: [{nfe: 7}, {nfe: 7}], metric: frechet}}",
        ["8:27: claims.0.expect.less: compares a point with itself: nfe = 7"],
    ),
    "claim of points that overlap": (
        "grid: {nfe: [7, 11], solver: [euler, heun]}\nclaims:\n"
        "- {say: s, expect: {less: [{solver: heun}, {nfe: 7}], metric: frechet}}",
        ["8:27: claims.0.expect.less: compares a point with itself: nfe = 7, solver = heun"],
    ),
    "FID": (
        "data: digits\ndenoiser: exact\ndesign: edm\nevaluate: {metrics: [fid]}",
        ["4:22: evaluate.metrics.0: unknown metric 'fid'. FID is metric frechet with detector inception"],
    ),
    "no budget": (
        "grid: {nfe: [null, 11]}",
        ["6:14: grid.nfe.0: should be an integer, not null"],
    ),
    "claim of another kind": (
        "claims:\n- {say: s, expect: {more: [{}, {}], metric: frechet}}",
        ["7:21: claims.0.expect.more: unknown kind of claim 'more'. Kinds: less, within, monotone, argmin_in"],
    ),
    "claim without a kind": (
        "claims:\n- {say: s, expect: {metric: frechet}}",
        ["7:20: claims.0.expect: does not say what is expected: one of less, within, monotone, argmin_in, ratio"],
    ),
    "claim of two kinds": (
        "claims:\n- {say: s, expect: {less: [{}, {}], within: {}, metric: frechet}}",
        ["7:20: claims.0.expect: should have one kind, not less and within"],
    ),
    "claim of a misspelled kind": (
        "claims:\n- {say: s, expect: {monotonic: decreasing, along: nfe, metric: frechet}}",
        ["7:21: claims.0.expect.monotonic: unknown kind of claim 'monotonic'. Did you mean 'monotone'?"],
    ),
    "within no bounds": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {within: {nfe: 7}, metric: frechet}}",
        ["8:20: claims.0.expect: needs one of 'tolerance', 'percent' and 'bounds: [low, high]'"],
    ),
    "within two kinds of bounds": (
        "grid: {nfe: [7, 11]}\nclaims:\n"
        "- {say: s, expect: {within: [{nfe: 7}, {nfe: 11}], tolerance: 1, percent: 5, metric: frechet}}",
        ["8:20: claims.0.expect: needs one of 'tolerance', 'percent' and 'bounds: [low, high]'"],
    ),
    "a percentage of one value": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {within: {nfe: 7}, percent: 5, metric: frechet}}",
        ["8:20: claims.0.expect: the value of one point needs 'bounds: [low, high]', not 'percent'"],
    ),
    "a tolerance of one value": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {within: {nfe: 7}, tolerance: 1, metric: frechet}}",
        ["8:20: claims.0.expect: the value of one point needs 'bounds: [low, high]', not 'tolerance'"],
    ),
    "bounds that cross": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {within: {nfe: 7}, bounds: [2, 1], metric: frechet}}",
        ["8:20: claims.0.expect: bounds: 2 is not below 1"],
    ),
    "within three": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {within: [{}, {}, {}], tolerance: 1, metric: frechet}}",
        ["8:29: claims.0.expect.within: takes one point, {..}, or the difference of two, [{..}, {..}]; 3 given"],
    ),
    "within a point that is not there": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {within: {nfe: 8}, bounds: [1, 2], metric: frechet}}",
        ["8:29: claims.0.expect.within.0.nfe: claim matches no trial: no point has nfe = 8. Did you mean 7?"],
    ),
    "monotone how": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {monotone: falling, along: nfe, metric: frechet}}",
        ["8:31: claims.0.expect.monotone: should be 'increasing' or 'decreasing', not 'falling'"],
    ),
    "monotone along no axis": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {monotone: decreasing, along: nef, metric: frechet}}",
        ["8:50: claims.0.expect.along: claim matches no trial: there is no axis 'nef'. Did you mean 'nfe'?"],
    ),
    "a claim on a field of one_at_a_time": (
        "num_steps: 5\none_at_a_time: {time_steps.rho: [3, 5], solver: [euler]}\nclaims:\n"
        "- {say: s, expect: {argmin_in: [5], along: time_steps.rho, metric: frechet}}",
        [
            "9:44: claims.0.expect.along: claim matches no trial: there is no axis 'time_steps.rho'. Axes: variant."
            " The changes of one_at_a_time are values of variant: variant: time_steps.rho=3, or variant: baseline."
        ],
    ),
    "monotone along a point": (
        "grid: {nfe: [7, 11]}\nclaims:\n"
        "- {say: s, expect: {monotone: decreasing, along: nfe, at: {nfe: 7}, metric: frechet}}",
        ["8:60: claims.0.expect.at.nfe: is the axis that 'along' names, so it cannot be fixed"],
    ),
    "monotone along one value": (
        "zip: {nfe: [7, 11], solver: [euler, heun]}\nclaims:\n"
        "- {say: s, expect: {monotone: decreasing, along: nfe, at: {solver: heun}, metric: frechet}}",
        ["8:50: claims.0.expect.along: there is only one value of nfe at solver = heun"],
    ),
    "the lowest at no value": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {argmin_in: [7, 12], along: nfe, metric: frechet}}",
        ["8:36: claims.0.expect.argmin_in.1: claim matches no trial: no point has nfe = 12. Did you mean 11?"],
    ),
    "the lowest at any value": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {argmin_in: [7, 11], along: nfe, metric: frechet}}",
        ["8:32: claims.0.expect.argmin_in: lists all values of nfe, so the claim could not fail"],
    ),
    "a ratio of nothing": (
        "grid: {nfe: [7, 11]}\nclaims:\n"
        "- {say: s, expect: {ratio_at_least: -1, of: [{nfe: 7}, {nfe: 11}], metric: frechet}}",
        ["8:37: claims.0.expect.ratio_at_least: should be greater than 0, not -1"],
    ),
    "a ratio of one": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {ratio_at_least: 2, of: [{nfe: 7}], metric: nfe}}",
        ["8:44: claims.0.expect.of: compares two points, the larger one first: [{..}, {..}]; 1 given"],
    ),
    "evaluations where they are no metric": (
        "grid: {nfe: [7, 11]}\nclaims:\n- {say: s, expect: {less: [{nfe: 7}, {nfe: 11}], metric: nfe}}",
        ["8:58: claims.0.expect.metric: 'nfe' is not measured. Metrics: frechet."],
    ),
    "unknown labels": (
        "data: digits\ndenoiser: exact\ndesign: edm\nevaluate: {labels: balance}",
        ["4:20: evaluate.labels: labels are one of none, data, balanced, or a list", "Did you mean 'balanced'?"],
    ),
    "a metric twice": (
        "data: digits\ndenoiser: exact\ndesign: edm\nevaluate: {metrics: [kid, kid]}",
        ["4:21: evaluate.metrics: 'kid' is given twice"],
    ),
    "no metric": (
        "data: digits\ndenoiser: exact\ndesign: edm\nevaluate: {metrics: []}",
        ["4:21: evaluate.metrics: should have 1 or more items"],
    ),
    "a field of the only metric": (
        "data: digits\ndenoiser: exact\ndesign: edm\nevaluate: {metrics: [{name: endpoint_error, images: -5}]}",
        ["4:53: evaluate.metrics.0.images: should be at least 2, not -5"],
    ),
    "a name that is no folder": (
        "denoiser: exact\ndesign: edm\ndata: digits\nname: ../up",
        ["4:7: name: names the report's folder"],
    ),
    "everything at once": (
        "data: digits\ndenoiser: exact\ndesign: {preset: edm, solver: eulr}\nnmae: x\n"
        "grid: {time_steps.rho: [-1, seven, 5]}\nevaluate: {images: 1}\n"
        "claims: [{say: s, expect: {less: [{time_steps.rho: 5}, {time_steps.rho: 4}], metric: fid}}]",
        [
            "3:31: design.solver: unknown solver 'eulr'.",
            "4:1: nmae: unknown field 'nmae'. Did you mean 'name'?",
            "5:25: grid.time_steps.rho.0: should be greater than 0, not -1",
            "5:29: grid.time_steps.rho.1: should be a number, not 'seven'",
            "6:20: evaluate.images: should be at least 2, not 1",
            "7:86: claims.0.expect.metric: 'fid' is not measured.",
        ],
    ),
}

FILES = {
    "good_part.py": "",
    "broken.py": "def fail():\n    1 / 0\n\n\n\nfail()\n",
    "syntax.py": "x = 1\ny = = 2\n",
    "nameless.py": "import designspace as ds\n\n\nclass Mine(ds.CIn):\n    __call__ = lambda self, sigma: sigma\n",
    "twice.py": 'import designspace as ds\n\n\nclass Mine(ds.Solver, name="heun"):\n    """Another."""\n',
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def lines_of(folder, text, options=()):
    path = folder / "bad.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as error:
        load(path, options)
    assert str(error.value) == "\n".join(error.value.lines)
    return [line.removeprefix(f"{path}:") for line in error.value.lines]


@pytest.mark.parametrize("case", TABLE)
def test_bad_input(case, folder):
    text, expected = TABLE[case]
    lines = lines_of(folder, text if "data:" in text or text.startswith("- ") else GOOD + text)
    for part in expected:
        assert any(part in line for line in lines), f"{part}\nis not in\n" + "\n".join(lines)
    for line in lines:  # nothing else is reported, and nothing twice
        assert any(line.startswith(part[:8]) for part in expected), line
        assert re.match(r"\d+:\d+: ", line)
    assert len(set(lines)) == len(lines)
    assert [int(line.split(":")[0]) for line in lines] == sorted(int(line.split(":")[0]) for line in lines)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "1:1: is empty"),
        (b"# nothing\n", "1:1: is empty"),
        ("question: déjà".encode("latin-1"), "1:12: is not UTF-8: byte 0xe9"),
        (b"name: a\n\xff\xfe", "2:1: is not UTF-8: byte 0xff"),
        ("name: a".encode("utf-16"), "1:1: is UTF-16; save it as UTF-8"),
        (b"name: a\0b", "1:8: is not YAML: special characters are not allowed"),
    ],
)
def test_bad_bytes(content, expected, folder):
    assert lines_of(folder, content) == [expected]


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20))
MERGED = "a0: &a0 {x: 1, y: 2}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 30))
EXPANDED = "stands for more than 50,000 values once aliases are expanded, the limit for an ablation"
DEEP = "is nested more than 50 levels deep, the limit for an ablation"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (LAUGHS, f"6:5: {EXPANDED}"),
        (MERGED, f"14:16: {EXPANDED}"),
        ("a: " + "[" * 1500, f"1:53: {DEEP}"),
        ("a: " + '{"a": ' * 1500, f"1:293: {DEEP}"),
        ("a:\n" + "- " * 1500 + "x", f"2:99: {DEEP}"),
        ("".join(f"{' ' * i}a:\n" for i in range(200)), f"50:50: {DEEP}"),
        (f"a: {[1] * 60_000}", "1:149996: has more than 50,000 values, the limit for an ablation"),
    ],
)
def test_yaml_that_expands(content, expected, folder):
    assert lines_of(folder, content) == [expected]


@pytest.mark.parametrize("text", ['question: "\\x1b[31m"', f"grid: {{num_steps: [3, {'1' * 400}]}}"])
def test_a_value_that_cannot_be_read_is_one_problem(text, folder):
    (folder / "one.yaml").write_text(f"data: digits\ndenoiser: exact\ndesign: edm\n{text}\n")
    with pytest.raises(SpecError) as caught:
        load(folder / "one.yaml")
    (line,) = caught.value.lines
    assert "has the control character" in line or "is a number of 400 characters" in line


def test_a_large_file(folder):
    path = folder / "bad.yaml"
    path.write_text("#" * (2**20 + 1))
    with pytest.raises(SpecError, match=f"^{path}: is larger than 1 MiB, the limit for an ablation$"):
        load(path)


def test_a_value_that_contains_itself(folder):
    assert lines_of(folder, GOOD + "question: &q [*q]")[0] == "6:11: question.0: contains itself"


def test_what_is_no_regular_file_is_not_read(folder):
    os.mkfifo(folder / "pipe.yaml")
    for path in (folder / "pipe.yaml", "/dev/zero"):
        with pytest.raises(SpecError, match=f"^{path}: is not a regular file$"):
            load(path)


def test_a_byte_order_mark_and_windows_line_ends_are_read(folder):
    path = folder / "good.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert len(load(path).points()) == 1


def test_not_a_file(folder):
    (folder / "solver_grid.yaml").write_text(GOOD)
    with pytest.raises(SpecError, match=re.escape(f"{folder}: is a folder, not a file. It has: solver_grid.yaml")):
        load(folder)
    near = re.escape(f"solver_gird.yaml: no such file. Did you mean '{folder / 'solver_grid.yaml'}'?")
    with pytest.raises(SpecError, match=near):
        load(folder / "solver_gird.yaml")
    ours = r"^solver_gird: no such file. Did you mean 'solver_grid'\? Those .*: designspace list ablations$"
    with pytest.raises(SpecError, match=ours):
        load("solver_gird")


def test_an_included_ablation_is_found_by_its_name_unless_there_is_such_a_file(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(load("solver_grid").points()) == len(load("solver_grid.yaml").points()) == 18
    (folder / "solver_grid.yaml").write_text(GOOD)
    assert len(load("solver_grid.yaml").points()) == 1


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("solver", "--set solver: is not KEY=VALUE"),
        ("slover=euler", "--set slover=euler: unknown field 'slover'. Did you mean 'solver'?"),
        ("nope=1", "--set nope=1: unknown field 'nope'. Fields: name, question, components, data, "),
        ("rho=3", "--set rho=3: unknown field 'rho'. Did you mean 'time_steps.rho'?"),
        (
            "sigma_min=3",
            "--set sigma_min=3: unknown field 'sigma_min'. Did you mean 'solver.sigma_min' or 'time_steps.",
        ),
        ("design.slover=euler", "--set design.slover=euler: unknown field 'slover'. Did you mean 'solver'?"),
        ("evaluate.imges=50", "--set evaluate.imges=50: unknown field 'imges'. Did you mean 'images'?"),
        ("evaluate.images=few", "--set evaluate.images=few: should be an integer, not 'few'"),
        ("design.solver=eulr", "--set design.solver=eulr: unknown solver 'eulr'. Did you mean 'euler'?"),
        (
            "grid.slover=[euler]",
            "--set grid.slover=[euler]: unknown field 'slover'. Did you mean",
        ),
        ("grid.nfe=[7", "--set grid.nfe=[7: is not YAML: expected ',' or ']'"),
        ("grid.nfe=7", "--set grid.nfe=7: should be a list, not 7"),
        ("num_steps=1", "--set num_steps=1: should be at least 2, not 1"),
        ("claims.0.say=x", "--set claims.0.say=x: 'claims' has no fields that could be set; set it as a whole"),
        ("data={name: zip, path: no.zip}", "--set data={name: zip, path: no.zip}: there is no "),
    ],
)
def test_bad_option(option, expected, folder):
    lines = lines_of(folder, GOOD + "claims: []", [option])
    assert len(lines) == 1
    assert lines[0].startswith(expected)


@pytest.mark.parametrize(
    ("axes", "option", "expected"),
    [
        (
            "grid: {solver: [euler, heun]}",
            "solver=dpm2",
            "solver is an axis, whose values replace this: set grid.solver=[...]",
        ),
        ("grid: {solver: [euler]}", "solver=heun", "solver is an axis, whose values replace this"),
        ("grid: {design.solver: [euler, heun]}", "solver.alpha=1", "design.solver is an axis, whose values replace"),
        (
            "zip: {solver: [euler, heun], num_steps: [9, 5]}",
            "num_steps=7",
            "num_steps is an axis, whose values replace",
        ),
        ("grid: {time_steps.rho: [5, 7]}", "time_steps.rho=x", "time_steps.rho is an axis, whose values replace this"),
    ],
)
def test_an_option_that_an_axis_would_replace(axes, option, expected, folder):
    (line,) = lines_of(folder, f"{GOOD}{axes}\n", [option])
    assert line.startswith(f"--set {option}: {expected}")


def test_an_option_beside_an_axis(folder):
    for axes, option in (
        ("grid: {time_steps.rho: [5, 7]}", "time_steps.sigma_max=70"),
        ("one_at_a_time: {solver: [euler]}", "solver=dpm2"),
    ):
        (folder / "good.yaml").write_text(f"{GOOD}{axes}\n")
        assert len(load(folder / "good.yaml", [option]).points()) == 2


def test_a_warning_is_shown_once_per_command(capsys):
    with clean_errors():
        for _ in range(3):
            warnings.warn("no glyph", stacklevel=1)
            warnings.warn("no other glyph", stacklevel=1)
    assert capsys.readouterr().err.splitlines() == ["warning: no glyph", "warning: no other glyph"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("gird: {solver: [euler]}", [Kind.UNKNOWN_FIELD]),
        ("grid: {solvr: [euler]}", [Kind.UNKNOWN_FIELD]),
        ("grid: {solver: [eulr], time_steps.roh: [3]}", [Kind.UNKNOWN_COMPONENT, Kind.UNKNOWN_FIELD]),
        ("data: digits\nevaluate: {images: 1}", [Kind.MISSING, Kind.MISSING, Kind.VALUE]),
        ("grid: {nfe: [1]}", [Kind.SAMPLING]),
        ("components: [broken.py]", [Kind.USER_CODE]),
        ("data: {name: zip, path: no.zip}\ndenoiser: exact\ndesign: edm", [Kind.FILE]),
        ("question: [a", [Kind.UNREADABLE]),
        (
            "grid: {nfe: [7, 11]}\nclaims: [{say: s, expect: {less: [{nfe: 7}, {nfe: 12}], metric: frechet}}]",
            [Kind.UNMATCHED],
        ),
        (
            "data: digits\ndenoiser: exact\ndesign: {preset: edm, solver: rk45}\n"
            "evaluate: {metrics: [truncation_error]}",
            [Kind.UNMEASURED],
        ),
    ],
)
def test_problems_have_a_kind(text, kinds, folder):
    path = folder / "bad.yaml"
    path.write_text(text if "data:" in text else GOOD + text)
    with pytest.raises(SpecError) as error:
        load(path)
    assert [problem.kind for problem in error.value.problems] == kinds
    assert not any(kind.is_warning for kind in kinds)


@pytest.mark.parametrize("more", ["denoisr: exact", "grid: {desing: [edm]}"])
def test_what_follows_from_another_problem_is_not_reported(more, folder):
    """If a field may have been misspelled, it is not reported as missing as well."""
    text = "data: digits\n" + more
    (line,) = lines_of(folder, text)
    assert "Did you mean 'de" in line


@pytest.fixture
def stubborn(folder):
    """User-defined time steps that reject every number of steps."""
    (folder / "stubborn.py").write_text(
        "import designspace as ds\n\n\n"
        'class Stubborn(ds.TimeSteps, name="test_stubborn"):\n'
        '    """Refuses."""\n\n'
        "    def sigmas(self, n):\n"
        '        raise ValueError("not today")\n'
    )
    yield folder
    del ds.TimeSteps.known["test_stubborn"]


def test_the_row_that_fails_is_found_whatever_its_message_says(stubborn):
    text = GOOD + "components: [stubborn.py]\n"
    said = f"time_steps 'test_stubborn': not today ({stubborn / 'stubborn.py'}:8)"
    for steps in ("num_steps: [9]", "nfe: [9]"):  # both vary: the row is to blame
        lines = lines_of(stubborn, text + f"grid: {{time_steps: [edm, test_stubborn], {steps}}}")
        assert lines == [f"7:26: grid.time_steps.1: {said}"]
    design = text.replace("design: edm", "design: {preset: edm, time_steps: test_stubborn}")
    assert lines_of(stubborn, design) == [f"4:35: design.time_steps: {said}"]
    assert lines_of(stubborn, design + "grid: {num_steps: [9]}") == [f"7:20: grid.num_steps.0: {said}"]


def test_errors_cross_processes(folder):
    path = folder / "bad.yaml"
    path.write_text(GOOD + "grid: {solver: [eulr], nfe: []}")
    with pytest.raises(SpecError) as error:
        load(path)
    again = pickle.loads(pickle.dumps(error.value))
    assert (again.problems, str(again)) == (error.value.problems, str(error.value))
    row = pickle.loads(pickle.dumps(RowError("solver", "cannot run")))
    assert (row.row, str(row)) == ("solver", "cannot run")


# Messages are for people


SEARCHES = {"startswith", "endswith", "find", "rfind", "index", "count", "removeprefix", "removesuffix", "partition"}


def is_message(node, caught):
    """Whether an expression is the text of an error: ``str(error)``, ``error.args[0]``, ``e["msg"]``, ``p.what``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and node.args:
        return isinstance(node.args[0], ast.Name) and node.args[0].id in caught
    if isinstance(node, ast.Subscript):
        return (isinstance(node.slice, ast.Constant) and node.slice.value == "msg") or is_message(node.value, caught)
    return isinstance(node, ast.Attribute) and (
        node.attr == "what" or (node.attr in ("args", "msg") and getattr(node.value, "id", "") in caught)
    )


def filters_by_text(call):
    """Whether a call is ``filterwarnings(action, message, ...)``, which selects warnings by their text."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return name == "filterwarnings" and (len(call.args) > 1 or any(k.arg in ("message", None) for k in call.keywords))


def decisions_on_messages(tree):
    """The lines in which a message is searched or compared, or warnings are selected by their text."""
    handlers = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    caught = handlers | {"error", "problem"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and filters_by_text(node):
            yield node.lineno
            continue
        if isinstance(node, ast.Attribute) and node.attr in SEARCHES:
            found = [node.value]
        elif isinstance(node, ast.Compare):
            found = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and getattr(getattr(node.func, "value", None), "id", "") == "re":
            found = node.args
        else:
            continue
        if any(is_message(part, caught) for part in found):
            yield node.lineno


@pytest.mark.parametrize(
    "code",
    [
        "str(error).startswith('unknown')",
        "if 'missing' in str(error): pass",
        "problem.what.startswith('unknown field')",
        "try: f()\nexcept ValueError as e:\n    if e.args[0] == 'no': pass",
        "re.match('no', str(error))",
        "details['msg'].removeprefix('Value error, ')",
        "warnings.filterwarnings('ignore', message='.*: skipped')",
        "filterwarnings('ignore', '.*: skipped', UserWarning)",
        "filterwarnings('ignore', **options)",
    ],
)
def test_decisions_on_messages_are_found(code):
    assert list(decisions_on_messages(ast.parse(code)))


def test_filters_by_category_decide_on_no_message():
    assert not list(decisions_on_messages(ast.parse("warnings.filterwarnings('ignore', category=SkippedLine)")))


def test_no_code_decides_on_a_message():
    files = sorted(SOURCES.rglob("*.py"))
    found = [f"{file}:{line}" for file in files for line in decisions_on_messages(ast.parse(file.read_text("utf-8")))]
    assert len(files) > 100
    assert found == []


@pytest.mark.parametrize(
    ("option", "left", "where"),
    [
        ("grid.nfe=[11]", ["Heun beats Euler."], "without claims 1, 2 and 3 of the file, for want of values of nfe"),
        ("grid.nfe=[11, 35]", [0, 1, 3], "without claim 2 of the file, for want of values of nfe"),
        ("grid.solver=[heun, dpmpp_2m]", [], "without claims 0, 1, 2 and 3 of the file, for want of values of solver"),
    ],
)
def test_claims_about_values_that_an_option_removes_are_left_out_with_one_warning(option, left, where):
    """The file's own claims remain errors if they are wrong."""
    whole, found = load("solver_grid"), load("solver_grid", [option])
    assert [claim.say for claim in found.claims] == [whole.claims[i].say if isinstance(i, int) else i for i in left]
    assert [warning for warning in found.warnings if "for want of" in str(warning)] == [f"--set {option}: {where}"]
    assert {point.trial.id for point in found.points()} < {point.trial.id for point in whole.points()}


def test_claims_with_mistakes_of_their_own_are_errors_with_options_too(folder):
    sides = "[{sovler: heun, nfe: 7}, {solver: euler, nfe: 7}]"
    (folder / "a.yaml").write_text(f"{GOOD}claims:\n- {{say: s, expect: {{less: {sides}, metric: frechet}}}}\n")
    with pytest.raises(SpecError, match="there is no axis 'sovler'"):
        load(folder / "a.yaml", ["grid.nfe=[11]"])


def test_a_wrong_value_of_an_option_is_the_only_error():
    with pytest.raises(SpecError) as caught:
        load("solver_grid", ["grid.nfe=[x]"])
    assert caught.value.lines == ["--set grid.nfe=[x]: should be an integer, not 'x'"]
