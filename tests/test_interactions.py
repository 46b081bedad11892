"""Interactions of axes: against numbers computed by hand, in tables, and their error rates without an interaction."""

import csv
import io
import itertools
import json
import math

import numpy as np
import pytest
import torch
from studies import Bench, N, edit, influence

from designspace.report import write
from designspace.report.evidence.effects import effects
from designspace.report.evidence.inference import LEVEL, holm
from designspace.report.evidence.interactions import interactions
from designspace.report.study import Study
from designspace.report.tables import effects as effect_tables
from designspace.report.tables import interactions as tables
from designspace.results.lines import append_line


def se_of(scores):
    return float(np.std(scores.numpy().astype(float), ddof=1)) / math.sqrt(N)


def study_of(made, values, axes=("solver", "design"), own=1.0):
    """A point for each value, which shares most of its noise with the others; the own part may differ."""
    scores = {}
    for i, (key, value) in enumerate(values.items()):
        each = own[key] if isinstance(own, dict) else own
        scores[key] = influence(0, 10.0) + influence(i + 1, each)
        made.point(dict(zip(axes, key, strict=True)), value, scores[key])
    return made.study(), scores


def crossed(*differences, settings=(("edm", 5.0), ("ve", 50.0))):
    """The values of heun and euler at two designs, with these differences between them."""
    return {
        (solver, design): value + (solver == "euler") * gap
        for (design, value), gap in zip(settings, differences, strict=True)
        for solver in ("heun", "euler")
    }


def favoured(study):
    pair, *_ = effect_tables.tables(study, "frechet")
    return {row[0].text: row[2].text for row in pair.favoured.rows}


def test_a_contrast_is_the_difference_of_two_paired_differences(bench):
    study, s = study_of(bench(axes=("solver", "design")), crossed(2.0, 5.0))
    ((found,),) = interactions(study, "frechet")
    assert [factor.name for factor in found.pair] == ["solver", "design"]
    ((pair, gap),) = found.contrasts.items()
    assert pair == (("heun", "euler"), ("edm", "ve"))
    by_hand = (s["heun", "edm"] - s["euler", "edm"]) - (s["heun", "ve"] - s["euler", "ve"])
    assert (gap.value, gap.paired) == (pytest.approx(3.0), True)
    assert gap.se == pytest.approx(se_of(by_hand), rel=1e-5)
    assert found.p == found.corrected == gap.p  # a single contrast of a single pair of axes


def test_contrasts_are_averaged_over_the_other_axes_and_corrected(bench):
    made = bench(axes=("solver", "design", "rho", "nfe"))
    values = {
        (solver, design, rho, nfe): 10.0 + nfe * (solver == "heun") * (design == "ve") + i
        for i, solver in enumerate(("heun", "euler", "ab"))
        for design in ("edm", "ve")
        for rho in (3, 7)
        for nfe in (1, 2)
    }
    study, s = study_of(made, values, ("solver", "design", "rho", "nfe"))
    (found,) = interactions(study, "frechet")
    assert len(found) == 3 * 2  # pairs of axes at each budget; the budget itself is not crossed with them
    assert [(len(one.contrasts), len(one.settings)) for one in found[:4]] == [(3, 2), (3, 2), (3, 2), (3, 2)]
    one, two = (o for o in found if [f.name for f in o.pair] == ["solver", "design"])
    assert (one.budget, two.budget) == (1, 2)
    gap = two.contrasts[("heun", "euler"), ("edm", "ve")]
    cells = [
        sign * s[solver, design, rho, 2] / 2
        for rho in (3, 7)
        for sign, solver, design in ((1, "heun", "edm"), (-1, "euler", "edm"), (-1, "heun", "ve"), (1, "euler", "ve"))
    ]
    assert (gap.value, gap.se) == (pytest.approx(-2.0), pytest.approx(se_of(sum(cells)), rel=1e-5))
    ps = [min(1.0, len(one.contrasts) * min(gap.p for gap in one.contrasts.values())) for one in found]
    assert [one.corrected for one in found] == pytest.approx(holm(ps))


def test_the_size_of_a_difference_is_not_its_sign(bench):
    """heun is better by 10 % in both: this is significant, but nothing reverses and the favoured choice is the same."""
    study, s = study_of(bench(axes=("solver", "design")), crossed(0.8, 8.0))
    ((found,),) = interactions(study, "frechet")
    assert (found.depends, found.reversals) == (True, [])
    row = tables.table(study).rows[0]
    one, two = (f"{se_of(s['heun', design] - s['euler', design]):.3f}" for design in ("edm", "ve"))
    example = f"solver: heun minus euler is -0.800 ± {one} for design=edm and -8.000 ± {two} for design=ve"
    assert [cell.text for cell in row] == ["FD-x", "solver × design", "yes", "", example, "< 0.0001"]
    assert favoured(study)["solver"] == "heun"


def test_a_reversal_is_told_with_both_differences(bench):
    study, _ = study_of(bench(axes=("solver", "design")), crossed(37.0, -23.0, settings=(("edm", 5.0), ("ve", 80.0))))
    ((found,),) = interactions(study, "frechet")
    (reversal,) = found.reversals
    assert (reversal.factor.name, reversal.choices, reversal.by.name) == ("solver", ("heun", "euler"), "design")
    assert [gap.value for gap in reversal.differences.values()] == [-37.0, 23.0]
    assert tables.table(study).rows[0][3].text == "solver"
    assert favoured(study)["solver"] == "depends on design: heun for edm, euler for ve"
    caption = effect_tables.tables(study, "frechet")[0].favoured.caption
    assert "Effects depend significantly on each other for solver × design (interactions.md)." in caption


def test_a_sign_that_is_not_significant_is_no_reversal(bench):
    own = {("heun", "edm"): 1.0, ("euler", "edm"): 1.0, ("heun", "ve"): 20.0, ("euler", "ve"): 20.0}
    study, _ = study_of(bench(axes=("solver", "design")), crossed(8.0, -1.0), own=own)
    ((found,),) = interactions(study, "frechet")
    assert (found.depends, found.reversals) == (True, [])


def test_what_is_undecided_on_average_is_told_for_each_value_of_the_axis_that_it_depends_on(bench, tmp_path):
    """heun is better for edm; for ve, the sign is not known, but the difference is certainly another one."""
    own = {("heun", "edm"): 1.0, ("euler", "edm"): 1.0, ("heun", "ve"): 26.0, ("euler", "ve"): 26.0}
    study, _ = study_of(bench(axes=("solver", "design")), crossed(6.0, -3.0), own=own)
    (solver,) = (one for one in effects(study, "frechet")[0] if one.factor.name == "solver")
    assert (solver.decided, solver.favoured[0]) == (False, "heun")
    assert favoured(study)["solver"] == "depends on design: heun for edm, undecided for ve"
    (tmp_path / "other").mkdir()
    without, _ = study_of(Bench(tmp_path / "other", ["solver", "design"]), crossed(1.0, 0.0), own=own)
    assert interactions(without, "frechet")[0][0].corrected > LEVEL
    assert favoured(without)["solver"] == "undecided"


def test_one_axis_and_axes_that_are_never_changed_together_have_no_table(bench, tmp_path):
    made = bench(axes=("solver", "nfe"))
    for i, (solver, nfe) in enumerate(itertools.product(("heun", "euler"), (7, 11))):
        made.point({"solver": solver, "nfe": nfe}, 5.0 + i, influence(i, 1.0))
    assert tables.page(made.study()) == tables.tidy(made.study()) == ""
    assert not [path for path in write(made.folder) if path.name.startswith("interactions")]
    (tmp_path / "two").mkdir()
    single = Bench(tmp_path / "two", ["variant"])
    for i, variant in enumerate(("baseline", "solver=euler", "time_steps.rho=3", "time_steps.rho=5")):
        single.point({"variant": variant}, 5.0 + i, influence(i, 1.0))
    assert tables.page(single.study()) == ""


def test_a_choice_that_diverged_somewhere_is_left_out(bench):
    values = {
        (solver, design): math.nan if (solver, design) == ("ab", "ve") else 5.0 + 3 * (solver == "heun") * i
        for i, design in enumerate(("edm", "vp", "ve"))
        for solver in ("heun", "euler", "ab")
    }
    study, _ = study_of(bench(axes=("solver", "design")), values)
    ((found,),) = interactions(study, "frechet")
    assert found.choices in ((("heun", "euler"), ("edm", "vp", "ve")), (("heun", "euler", "ab"), ("edm", "vp")))


def test_points_that_are_the_same_trial_differ_by_nothing(bench):
    """Two schedules that are the same for all solvers: rounding is no interaction."""
    made = bench(axes=("solver", "schedule", "rho"))
    for rho, value in ((3, 0.1), (7, 0.7), (15, 0.3)):
        for solver, factor in (("heun", 1.3), ("euler", 2.3)):
            for schedule in ("a", "b"):
                made.point({"solver": solver, "schedule": schedule, "rho": rho}, value * factor, influence(rho, factor))
                made.results.put_artefact(f"{rho}{solver}", {"influence.frechet": influence(rho, factor)})
                made.points[-1]["id"] = f"{rho}{solver}"
    (made.folder / "ablation.json").write_text(json.dumps(made.about))
    ids = [point["id"] for point in made.points]
    edit(made.folder, lambda rows: [row.update(id=id) for row, id in zip(rows, ids, strict=True)])
    found = {tuple(f.name for f in one.pair): one for one in interactions(made.study(), "frechet")[0]}
    assert (found["solver", "schedule"].p, found["schedule", "rho"].p) == (1.0, 1.0)
    assert found["solver", "rho"].depends


def test_the_csv_has_a_row_for_each_pair_of_axes_and_budget(bench):
    made = bench(axes=("solver", "design", "nfe"))
    values = {(*key, nfe): value + nfe for nfe in (7, 11) for key, value in crossed(6.0, -6.0).items()}
    study, _ = study_of(made, values, ("solver", "design", "nfe"))
    rows = list(csv.DictReader(io.StringIO(tables.tidy(study))))
    assert [(row["nfe"], row["axis"], row["other_axis"], row["reverses"]) for row in rows] == [
        ("7", "solver", "design", "solver"),
        ("11", "solver", "design", "solver"),
    ]
    assert (rows[0]["difference"], rows[0]["at"], rows[0]["value"]) == ("heun minus euler", "edm", "-6")
    assert "interactions.md" in {path.name for path in write(made.folder)}


def simulated(folder, grid, draws, runs=1):
    """A study in which each metric is an independent draw: ``draws(key)`` are values ``[R, D]`` and scores [D, N]."""
    folder.mkdir()
    axes = list(grid)
    keys = list(itertools.product(*grid.values()))
    points = []
    values = {key: draws(key) for key in keys}
    count = values[keys[0]][0].shape[1]
    made = Bench(folder, axes)
    for i, key in enumerate(keys):
        value, scores = values[key]
        for run in range(runs):
            id = f"{runs * i + run:016x}"
            about = dict(zip(axes, key, strict=True))
            points.append({"id": id, "axes": about})
            se = 1e-6 if scores is None else None
            metrics = {
                f"m{d}": {
                    "value": float(value[run, d]),
                    "se": se or float(scores[d].std(ddof=1)) / N**0.5,
                    "protocol": "FD-x",
                    "higher_is_better": False,
                }
                for d in range(count)
            }
            if scores is not None:
                kept = {f"influence.m{d}": torch.from_numpy(scores[d]).float() for d in range(count)}
                made.results.put_artefact(id, kept)
            row = {"schema": 1, "id": id, "axes": about, "seed": run, "nfe": 7, "images": N, "features": 8}
            row |= {"network": f"{key[0]}{run}"} if runs > 1 else {}
            append_line(folder / "results.jsonl", row | {"ablation": "x", "trial": {}, "metrics": metrics})
    about = {"schema": 1, "name": "x", "question": "", "axes": axes, "claims": [], "points": points}
    (folder / "ablation.json").write_text(json.dumps(about | {"metrics": [f"m{d}" for d in range(count)]}))
    return Study(folder), [f"m{d}" for d in range(count)]


def significant(study, metrics):
    found = [one for metric in metrics for one in [interactions(study, metric)[0]]]
    return sum(any(one.depends for one in of) for of in found) / len(found)


STATED = 0.10
"""The bound on the rate that ``docs/error_bars.md`` states for unequal scatter."""


def test_effects_that_add_up_are_called_an_interaction_in_at_most_5_percent(tmp_path):
    """Three axes with common and own skewed noise: any of the three pairs of axes."""
    rng, draws = np.random.default_rng(0), 1000
    common = rng.standard_normal((draws, N))

    def draw(key):
        scores = 3 * common + np.exp(0.5 * rng.standard_normal((draws, N)))
        effect = 10 * (key[0] == "b") + 4 * (key[1] == "x") - 2 * (key[2] == "q")
        return (effect + scores.mean(1))[None], scores - scores.mean(1, keepdims=True)

    grid = {"solver": ["a", "b"], "design": ["x", "y", "z"], "scaling": ["p", "q"]}
    rate = significant(*simulated(tmp_path / "null", grid, draw))
    assert 0 < rate <= LEVEL + 3 * math.sqrt(LEVEL / draws)


def test_equal_choices_are_said_to_depend_on_another_axis_in_at_most_5_percent(tmp_path):
    """Any row of a report, whether it names an axis, is not favoured everywhere, or not beside the other rows."""
    rng, draws = np.random.default_rng(3), 400
    common = rng.standard_normal((draws, N))

    def draw(key):
        scores = 3 * common + np.exp(0.5 * rng.standard_normal((draws, N)))
        return 10 + scores.mean(1)[None], scores - scores.mean(1, keepdims=True)

    study, metrics = simulated(tmp_path / "null", {"solver": ["a", "b", "c"], "design": ["x", "y"]}, draw)
    of = [effects(study, metric)[0] for metric in metrics]
    told = [any(one.dependence or one.beside or not one.everywhere for one in rows) for rows in of]
    assert 0 < sum(told) / draws <= LEVEL + 3 * math.sqrt(LEVEL / draws)


@pytest.mark.parametrize("sampler", [False, True])
def test_repeated_trainings_are_called_an_interaction_in_at_most_5_percent(tmp_path, sampler):
    """Three repeats, networks of equal relative scatter; the second axis is one of training or of sampling."""
    rng, draws, runs = np.random.default_rng(1), 1000, 3
    shared, networks = rng.standard_normal((runs, draws)), {}

    def draw(key):
        own = networks.setdefault(key[0] if sampler else key, rng.standard_normal((runs, draws)))
        noise = 0.01 * rng.standard_normal((runs, draws)) if sampler else 0.0
        return 10.0 * (1 + 0.02 * shared + 0.03 * own + noise) + (key[0] == "b") + 0.5 * (key[1] == "x"), None

    grid = {"design": ["a", "b", "c"], "solver": ["x", "y"]}
    if not sampler:
        grid = {"design": ["a", "b", "c"], "loss": ["x", "y"]}
    study, metrics = simulated(tmp_path / "null", grid, draw, runs)
    assert significant(study, metrics) <= LEVEL + 3 * math.sqrt(LEVEL / draws)


def test_a_design_that_varies_five_times_as_much_is_called_an_interaction_in_at_most_10_percent(tmp_path):
    """Three repeats of networks of four designs; the pooled scatter is too small for those of the first design."""
    rng, draws, runs = np.random.default_rng(2), 1000, 3
    shared = rng.standard_normal((runs, draws))

    def draw(key):
        own = (0.15 if key[0] == "a" else 0.03) * rng.standard_normal((runs, draws))
        return 10.0 * (1 + 0.02 * shared + own) + (key[0] == "b") + 0.5 * (key[1] == "x"), None

    rate = significant(*simulated(tmp_path / "null", {"design": [*"abcd"], "loss": ["x", "y"]}, draw, runs))
    assert rate <= STATED + 3 * math.sqrt(STATED / draws)
