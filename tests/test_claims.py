"""Claims of each kind, from the file to the verdict, against numbers computed by hand."""

import json
import math
import re

import numpy as np
import pytest
from studies import N, by_hand, gap_by_hand, influence

from designspace.report import Study
from designspace.report.evidence.verdicts import verdicts
from designspace.report.tables.claims import page
from designspace.results.records import Failure
from designspace.spec import load
from designspace.spec.schema import schema
from designspace.text import value_of

SPEC = """\
data: digits
denoiser: exact
design: edm
grid: {solver: [euler, {name: heun, alpha: 0.5}, dpmpp_2m], nfe: [7, 11, 19]}
evaluate: {images: 50, detector: pixels, metrics: [frechet]}
claims:
- {say: bounds, expect: {within: {design.solver: euler, nfe: 7.0}, bounds: [1, 2], metric: frechet}}
- {say: near, expect: {within: [{solver: euler}, {solver: dpmpp_2m}], tolerance: 0.5, metric: frechet}}
- {say: falls, expect: {monotone: decreasing, along: nfe, at: {solver: {name: heun, alpha: 0.5}}, metric: frechet}}
- {say: lowest, expect: {argmin_in: [11, 19.0], along: nfe, metric: frechet}}
- {say: twice, expect: {ratio_at_least: 2, of: [{nfe: 7}, {nfe: 11}], metric: nfe}}
"""


def test_every_kind_is_read_and_named_as_the_points_are(tmp_path):
    (tmp_path / "kinds.yaml").write_text(SPEC)
    dumped = load(tmp_path / "kinds.yaml").model_dump(mode="json", include={"claims"})["claims"]
    within, near, falls, lowest, twice = (claim["expect"] for claim in json.loads(json.dumps(dumped)))
    assert (within["within"], within["bounds"]) == ([{"solver": "euler", "nfe": 7}], [1, 2])
    assert (near["within"], near["tolerance"]) == ([{"solver": "euler"}, {"solver": "dpmpp_2m"}], 0.5)
    assert (falls["at"], falls["along"], falls["tolerance"]) == ({"solver": "heun(alpha=0.5)"}, "nfe", 0)
    assert (lowest["argmin_in"], lowest["at"]) == ([11, 19], {})
    assert twice == {"ratio_at_least": 2, "of": [{"nfe": 7}, {"nfe": 11}], "metric": "nfe"}


def test_the_schema_has_every_kind():
    kinds = schema()["$defs"]
    expect = kinds["Claim"]["properties"]["expect"]["anyOf"]
    assert {kind["$ref"].rpartition("/")[2] for kind in expect} == {
        "Less",
        "Within",
        "Monotone",
        "ArgminIn",
        "RatioAtLeast",
    }
    assert kinds["Monotone"]["properties"]["monotone"]["enum"] == ["increasing", "decreasing"]
    assert {kind["type"] for kind in kinds["Within"]["properties"]["within"]["anyOf"]} == {"object", "array"}


def claims_of(folder, *expected):
    """The verdicts on other claims about a recorded study."""
    about = json.loads((folder / "ablation.json").read_text())
    about["claims"] = [{"say": "?", "expect": {"metric": "frechet", **expect}} for expect in expected]
    (folder / "ablation.json").write_text(json.dumps(about))
    return verdicts(Study(folder))


def p_of(text):
    return float(re.search(r"p = ([\d.e-]+)", text)[1])


def at(solver, nfe):
    return {"solver": solver, "nfe": nfe}


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_within_is_two_one_sided_tests(recorded):
    gap, se = gap_by_hand(("dpmpp_2m", 11), ("heun", 11))
    value, alone, _ = by_hand()["heun", 11]
    points = [at("dpmpp_2m", 11), at("heun", 11)]
    wide, narrow, wrong, one, edge = claims_of(
        recorded,
        {"within": points, "tolerance": abs(gap) + 2 * se, "bounds": None},
        {"within": points, "tolerance": abs(gap) + se, "bounds": None},
        {"within": points, "bounds": [gap + 3 * se, gap + 9 * se]},
        {"within": points[1:], "bounds": [value - 2 * alone, value + 2 * alone]},
        {"within": points[1:], "bounds": [value - alone, value + 5 * alone]},
    )
    assert [v.outcome for v in (wide, narrow, wrong, one, edge)] == [
        "holds",
        "undecided",
        "does not hold",
        "holds",
        "undecided",
    ]
    assert p_of(edge.numbers) == pytest.approx(math.erfc(1 / 2**0.5), rel=0.05)
    needed = int(re.search(r"about ([\d,]+) images", edge.numbers)[1].replace(",", ""))
    assert needed == pytest.approx(64 * 1.96**2, rel=0.05)
    assert f"expected between {value_of(gap + 3 * se)} and {value_of(gap + 9 * se)}, p" in wrong.numbers


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_monotone_shows_the_least_favourable_step(recorded):
    """Solvers are compared in grid order: euler, heun, dpmpp_2m. ab is not measured."""
    falls, rises, mixed, tolerant, missing = claims_of(
        recorded,
        {"monotone": "decreasing", "along": "nfe", "at": {"solver": "heun"}, "tolerance": 0.0},
        {"monotone": "increasing", "along": "nfe", "at": {"solver": "heun"}, "tolerance": 0.0},
        {"monotone": "decreasing", "along": "solver", "at": {"nfe": 7}, "tolerance": 0.0},
        {"monotone": "increasing", "along": "nfe", "at": {"solver": "heun"}, "tolerance": 100.0},
        {"monotone": "decreasing", "along": "nfe", "at": {}, "tolerance": 0.0},
    )
    assert [v.outcome for v in (falls, rises, mixed, tolerant, missing)] == [
        "holds",
        "does not hold",
        "does not hold",
        "holds",
        "not computed",
    ]
    gap, se = gap_by_hand(("heun", 11), ("heun", 7))
    shown = re.search(r"difference (\S+) ± (\S+) \(paired\)", falls.numbers)
    assert [float(x) for x in shown.groups()] == pytest.approx([gap, se], abs=0.05 * se)
    assert "83.0 ± 1.2 (solver=heun, nfe=7) against 28.95 ± 0.56 (solver=euler, nfe=7)" in mixed.numbers
    assert (
        "the least favourable of 3 comparisons" in mixed.numbers
    )  # the third is not measured, and one is wrong already
    assert missing.numbers == "1 of 4 comparisons have no finite result yet."


def solvers(made, values, noise=1.0):
    common = influence(0, 10)
    for i, (name, value) in enumerate(values.items()):
        made.point({"solver": name, "nfe": 7}, value, common + influence(i + 1, noise))


@pytest.mark.parametrize(
    ("chosen", "verdict"),
    [(["a"], "undecided"), (["a", "b"], "holds"), (["b", "c"], "undecided"), (["c"], "does not hold")],
)
def test_argmin_in(bench, chosen, verdict):
    """a and b cannot be told apart, c is clearly higher, d has diverged."""
    expect = {"argmin_in": chosen, "along": "solver", "at": {"nfe": 7}, "metric": "frechet"}
    made = bench(claims=[{"say": "?", "expect": expect}])
    solvers(made, {"a": 3.0, "b": 3.05, "c": 3.5})
    made.point({"solver": "d", "nfe": 7}, None, se=None)
    (found,) = verdicts(made.study())
    assert found.outcome == verdict
    assert ("would be needed to decide the claim" in found.numbers) == (verdict == "undecided")
    made.point({"solver": "e", "nfe": 7}, 0.0, finished=False)
    assert verdicts(made.study())[0].outcome == "not computed"


@pytest.mark.parametrize("recorded_as", ["a value that is none", "a failure"])
def test_a_point_that_diverged_is_not_the_lowest(bench, recorded_as):
    """At 9 evaluations the claimed point has diverged, so the claim is false there, however clear it is at 7."""
    expect = {"argmin_in": ["a"], "along": "solver", "at": {}, "metric": "frechet"}
    other = expect | {"argmin_in": ["b"], "at": {"nfe": 9}}
    made = bench(claims=[{"say": "?", "expect": expect}, {"say": "?", "expect": other}])
    solvers(made, {"a": 3.0, "b": 9.0})
    made.point({"solver": "b", "nfe": 9}, 3.0, influence(1, 1))
    made.point({"solver": "c", "nfe": 9}, 9.0, influence(2, 1))
    axes = {"solver": "a", "nfe": 9}
    made.point(axes, None, finished=recorded_as != "a failure")
    if recorded_as == "a failure":
        failed = {"id": made.points[-1]["id"], "axes": axes, "ablation": "study", "error": "3 of the images ..."}
        made.results.append_failure(Failure(schema=1, **failed, not_finite=[3, 4, 5]))
    first, second = verdicts(made.study())
    assert (first.outcome, second.outcome) == ("does not hold", "holds")
    assert "against samples that are not finite (solver=a, nfe=9)" in first.numbers


def test_a_point_that_failed_otherwise_is_waited_for(bench):
    expect = {"argmin_in": ["a"], "along": "solver", "at": {}, "metric": "frechet"}
    made = bench(claims=[{"say": "?", "expect": expect}])
    made.point({"solver": "b", "nfe": 9}, 3.0, influence(1, 1))
    axes = {"solver": "a", "nfe": 9}
    made.point(axes, None, finished=False)
    made.results.append_failure(Failure(schema=1, id=made.points[-1]["id"], axes=axes, error="no memory"))
    assert verdicts(made.study())[0].outcome == "not computed"


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_ratio_has_the_error_of_the_delta_method(recorded):
    (a, _, scores_a), (b, _, scores_b) = by_hand()["heun", 7], by_hand()["euler", 7]
    ratio = a / b
    se = np.std(scores_a - ratio * scores_b, ddof=1) / math.sqrt(len(scores_a)) / b
    of = [at("heun", 7), at("euler", 7)]
    low, near, high = claims_of(
        recorded, *({"ratio_at_least": r, "of": of} for r in (ratio - 3 * se, ratio - se, ratio + 3 * se))
    )
    assert [v.outcome for v in (low, near, high)] == ["holds", "undecided", "does not hold"]
    shown = re.search(r"ratio (\S+) ± (\S+) \(paired\)", near.numbers)
    assert [float(x) for x in shown.groups()] == pytest.approx([ratio, se], abs=0.05 * se)


def test_ratio_of_evaluations(bench):
    """Counts are exact, except that those of an adaptive solver scatter over the images."""
    expect = {"of": [{"solver": "rk45"}, {"solver": "heun"}], "metric": "nfe"}
    ratios = (3.0, 3.995, 4.0, 4.01, 4.1)
    made = bench(["solver"], [{"say": "?", "expect": {"ratio_at_least": r, **expect}} for r in ratios])
    made.point({"solver": "rk45"}, 3.0, nfe=40.0, nfe_sd=2.0)
    made.point({"solver": "heun"}, 3.0, nfe=10)
    study = made.study()
    z = [found.statements[0].z.item() for found in verdicts(study)]
    assert z == pytest.approx([(10 * r - 40) / (2 / N**0.5) for r in ratios])
    assert [v.outcome for v in verdicts(study)] == ["holds", *["undecided"] * 3, "does not hold"]
    start = "evaluations 40.00 ± 0.10 (solver=rk45) over 10 (solver=heun): ratio 4, expected at least 3, "
    assert verdicts(study)[0].numbers.startswith(start)


def test_a_comparison_among_many_must_be_clearer_to_contradict(bench):
    """z = 2.1 contradicts a claim with one comparison, but not one with ten: Holm's correction requires 2.81."""
    one = {"less": [{"solver": "a", "nfe": 1}, {"solver": "b", "nfe": 1}], "metric": "frechet"}
    all_ = {"less": [{"solver": "a"}, {"solver": "b"}], "metric": "frechet"}
    made = bench(claims=[{"say": "one", "expect": one}, {"say": "all", "expect": all_}])
    for nfe in range(1, 11):
        a, b = influence(nfe, 1), influence(nfe + 100, 1)
        se = float((a.double() - b.double()).std()) / N**0.5
        made.point({"solver": "a", "nfe": nfe}, 3.0 + (2.1 if nfe == 1 else -4.0) * se, a)
        made.point({"solver": "b", "nfe": nfe}, 3.0, b)
    study = made.study()
    assert [v.outcome for v in verdicts(study)] == ["does not hold", "undecided"]
    assert "p = 0.036, n = 400" in verdicts(study)[1].numbers
    assert "for all of them together, p = 0.36." in verdicts(study)[1].numbers
    lines = page(study).splitlines()
    assert lines[2] == "Of 2 claims, 1 does not hold and 1 is undecided."
    assert [line for line in lines if line.startswith("- ")] == ["- **does not hold**: one  ", "- **undecided**: all  "]


def test_equal_numbers_are_never_decided(bench):
    made = bench(claims=[{"say": "?", "expect": {"less": [{"solver": "a"}, {"solver": "b"}], "metric": "frechet"}}])
    for solver in "ab":
        made.point({"solver": solver, "nfe": 7}, 3.0, influence(0, 1))
    (found,) = verdicts(made.study())
    assert found.outcome == "undecided"
    assert "no number of images would decide the claim" in found.numbers
