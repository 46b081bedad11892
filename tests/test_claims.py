"""Claims of each kind, from the file to the verdict, against numbers computed by hand."""

import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from studies import N, by_hand, gap_by_hand, influence

from designspace.report import Study
from designspace.report.entry import Entry
from designspace.report.evidence.claims import comparisons
from designspace.report.evidence.compared import judged, overall
from designspace.report.evidence.inference import always_valid_width, evidence
from designspace.report.evidence.statements import value_between
from designspace.report.evidence.verdicts import verdicts
from designspace.report.tables.claims import page
from designspace.results.records import Failure, Result
from designspace.spec import load
from designspace.spec.schema import schema
from designspace.text import sentence, value_of

SPEC = """\
data: digits
denoiser: exact
design: edm
grid: {solver: [euler, {name: heun, alpha: 0.5}, dpmpp_2m], nfe: [7, 11, 19]}
evaluate: {images: 50, detector: pixels, metrics: [frechet]}
claims:
- {say: bounds, expect: {within: {design.solver: euler, nfe: 7.0}, bounds: [1, 2], metric: frechet}}
- {say: near, expect: {within: [{solver: euler}, {solver: dpmpp_2m}], tolerance: 0.5, metric: frechet}}
- {say: alike, expect: {within: [{solver: euler}, {solver: dpmpp_2m}], percent: 5, metric: frechet}}
- {say: falls, expect: {monotone: decreasing, along: nfe, at: {solver: {name: heun, alpha: 0.5}}, metric: frechet}}
- {say: lowest, expect: {argmin_in: [11, 19.0], along: nfe, metric: frechet}}
- {say: twice, expect: {ratio_at_least: 2, of: [{nfe: 7}, {nfe: 11}], metric: nfe}}
- {say: depends, expect: {interaction: [{nfe: 7}, {nfe: 11.0}], with: design.solver, metric: frechet}}
"""


def test_every_kind_is_read_and_named_as_the_points_are(tmp_path):
    (tmp_path / "kinds.yaml").write_text(SPEC)
    dumped = load(tmp_path / "kinds.yaml").model_dump(mode="json", include={"claims"})["claims"]
    within, near, alike, falls, lowest, twice, depends = (claim["expect"] for claim in json.loads(json.dumps(dumped)))
    assert (within["within"], within["bounds"]) == ([{"solver": "euler", "nfe": 7}], [1, 2])
    assert (near["within"], near["tolerance"]) == ([{"solver": "euler"}, {"solver": "dpmpp_2m"}], 0.5)
    assert (alike["within"], alike["percent"], alike["bounds"]) == (near["within"], 5, None)
    assert (falls["at"], falls["along"], falls["tolerance"]) == ({"solver": "heun(alpha=0.5)"}, "nfe", 0)
    assert (lowest["argmin_in"], lowest["at"]) == ([11, 19], {})
    assert twice == {"ratio_at_least": 2, "of": [{"nfe": 7}, {"nfe": 11}], "metric": "nfe"}
    assert depends == {"interaction": [{"nfe": 7}, {"nfe": 11}], "with": "solver", "metric": "frechet"}


def test_the_schema_has_every_kind():
    kinds = schema()["$defs"]
    expect = kinds["Claim"]["properties"]["expect"]["anyOf"]
    assert {kind["$ref"].rpartition("/")[2] for kind in expect} == {
        "Less",
        "Within",
        "Monotone",
        "ArgminIn",
        "RatioAtLeast",
        "Interaction",
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
    assert needed == pytest.approx(64 * (1.96 + 0.84) ** 2, rel=0.05)
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
    assert ("would decide the claim with a probability of 80 %" in found.numbers) == (verdict == "undecided")
    made.point({"solver": "e", "nfe": 7}, 0.0, finished=False)
    assert verdicts(made.study())[0].outcome == "not computed"


def test_a_p_value_says_for_how_many_alternatives_it_is_corrected(bench):
    """a is 2.5 standard errors above b, and about 1 above the other three, of which any may be the lowest."""
    expect = {"argmin_in": ["a"], "along": "solver", "at": {}, "metric": "frechet"}
    made = bench(claims=[{"say": "?", "expect": expect}])
    a, b = influence(0, 1), influence(1, 1)
    se = float((a.double() - b.double()).std()) / N**0.5
    made.point({"solver": "a", "nfe": 7}, 3.0 + 2.5 * se, a)
    made.point({"solver": "b", "nfe": 7}, 3.0, b)
    for i, solver in enumerate("cde"):
        made.point({"solver": solver, "nfe": 7}, 3.0 + 1.5 * se, influence(i + 2, 1))
    (found,) = verdicts(made.study())
    assert found.numbers.startswith("Lowest of each side: FD-x ")
    assert ", corrected for 4 alternatives, n = 400." in found.numbers
    assert p_of(found.numbers) == pytest.approx(4 * math.erfc(2.5 / 2**0.5), rel=0.05)


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
    assert (first.headline, second.headline) == ("holds at 7, not at 9", "holds")
    assert first.outcome == "holds in part"
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


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
@pytest.mark.parametrize("turned", [False, True])
def test_a_percentage_bounds_the_ratio_of_two_values_on_both_sides(recorded, turned):
    """By hand: each of the values is less than r times the other, whichever of them the claim names first."""
    (a, _, scores_a), (b, _, scores_b) = by_hand()["heun", 7], by_hand()["euler", 7]
    (a, scores_a), (b, scores_b) = sorted([(a, scores_a), (b, scores_b)], key=lambda side: -side[0])
    larger, smaller = ("heun", "euler") if a == by_hand()["heun", 7][0] else ("euler", "heun")
    se = np.std(scores_a - a / b * scores_b, ddof=1) / math.sqrt(len(scores_a)) / b
    points = [at(larger, 7), at(smaller, 7)]
    expect = {"within": points[::-1] if turned else points, "tolerance": None, "bounds": None}
    ratios = (a / b + 3 * se, a / b + se, a / b - 3 * se)
    found = claims_of(recorded, *({**expect, "percent": 100 * (r - 1)} for r in ratios))
    assert [v.outcome for v in found] == ["holds", "undecided", "does not hold"]
    r = ratios[0]
    up, down = (np.std(x - r * y, ddof=1) / len(x) ** 0.5 for x, y in ((scores_a, scores_b), (scores_b, scores_a)))
    by_hand_z = [(a - r * b) / up, (b - r * a) / down]
    z = [statement.z.item() for statement in found[0].statements]
    assert z == pytest.approx(by_hand_z[::-1] if turned else by_hand_z, rel=1e-6)


def test_a_percentage_is_of_values_above_0(bench):
    expect = {"within": [at("a", 9), at("b", 9)], "percent": 5.0, "tolerance": None, "bounds": None}
    for values in ((-3.0, -3.0), (0.0, 0.0)):
        made = bench(claims=[{"say": "?", "expect": {**expect, "metric": "frechet"}}])
        for solver, value in zip("ab", values, strict=True):
            made.point(at(solver, 9), value, influence(1, 1))
        assert verdicts(made.study())[0].outcome != "holds"


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
    start = "Evaluations 40.00 ± 0.10 (solver=rk45) over 10 (solver=heun): ratio 4, expected at least 3, "
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
    assert [v.outcome for v in verdicts(study)] == ["does not hold", "holds in part"]
    assert "p = 0.036, n = 400" in verdicts(study)[1].numbers
    assert "for all of them together, p = 0.36." in verdicts(study)[1].numbers
    lines = page(study).splitlines()
    assert lines[2] == "Of 2 claims, 1 holds in part and 1 does not hold."
    assert [line for line in lines if line.startswith("- ")] == [
        "- **does not hold**: one  ",
        "- **holds at 2, 3, 4, 5, 6, 7, 8, 9 and 10, undecided at 1**: all  ",
    ]


def test_equal_numbers_are_never_decided(bench):
    made = bench(claims=[{"say": "?", "expect": {"less": [{"solver": "a"}, {"solver": "b"}], "metric": "frechet"}}])
    for solver in "ab":
        made.point({"solver": solver, "nfe": 7}, 3.0, influence(0, 1))
    (found,) = verdicts(made.study())
    assert found.outcome == "undecided"
    assert "no number of images would decide the claim" in found.numbers


def test_large_numbers_of_images_are_rounded(bench):
    """The difference is 1 / sqrt(2) standard errors: 400 images have to become 400 ((1.960 + 0.842) sqrt(2))^2."""
    made = bench(claims=[{"say": "?", "expect": {"less": [{"solver": "a"}, {"solver": "b"}], "metric": "frechet"}}])
    for solver, value in {"a": 20.0, "b": 20.1}.items():
        made.point({"solver": solver, "nfe": 7}, value, se=0.1)
    (found,) = verdicts(made.study())
    assert found.enough.startswith("about 6,300 images would decide the claim")  # 6,279


def less(a, b, **more):
    return {"say": "?", **more, "expect": {"less": [a, b], "metric": "frechet"}}


def two_solvers(made, gaps, finished=lambda nfe: True, **row):
    """heun minus euler at each budget, in standard errors of the difference."""
    for nfe, z in gaps.items():
        a, b = influence(nfe, 1), influence(nfe + 100, 1)
        se = float((a.double() - b.double()).std()) / N**0.5
        made.point({"solver": "heun", "nfe": nfe}, 3.0 + z * se, a, finished=finished(nfe), **row)
        made.point({"solver": "euler", "nfe": nfe}, 3.0, b)


HEUN, EULER = {"solver": "heun"}, {"solver": "euler"}


@pytest.mark.parametrize(
    ("gaps", "outcome", "headline"),
    [
        ({9: -3.0, 19: -3.0}, "holds", "holds at all of 9 and 19"),
        ({9: -2.1, 19: -2.1, 35: -2.1}, "holds", "holds at all of 9, 19 and 35"),  # all are needed: no correction
        ({9: 9.0, 19: -3.0, 35: -3.0}, "holds in part", "holds at 19 and 35, not at 9"),
        ({9: 9.0, 19: -3.0, 35: -2.1}, "holds in part", "holds at 19, not at 9, undecided at 35"),  # corrected for 3
        ({9: 9.0, 11: 0.0}, "does not hold", "does not hold at 9, undecided at 11"),
        ({9: 9.0, 11: 8.0}, "does not hold", "does not hold at 9 and 11"),
        ({9: -9.0, 11: 0.0}, "holds in part", "holds at 9, undecided at 11"),
        ({9: -2.1, 11: 0.0}, "undecided", "undecided at 9 and 11"),  # corrected for 2
        ({11: 0.0}, "undecided", "undecided"),
    ],
)
def test_a_claim_without_a_budget_is_judged_at_each(bench, gaps, outcome, headline):
    made = bench(claims=[less(HEUN, EULER)])
    two_solvers(made, gaps)
    (found,) = verdicts(made.study())
    assert (found.outcome, found.headline) == (outcome, headline)
    assert ("Difference at each budget: " in found.numbers) == (len(gaps) > 1)
    assert f"- **{headline}**: ?" in page(made.study())


def test_outcomes_at_all_budgets_are_right_together():
    """Three budgets, at two of which the claim is at the border of being false: nothing false in 95 % of all draws."""
    rng, draws, wrong = np.random.default_rng(0), 4000, 0
    truth = np.array([0.0, 0.0, -3.0])
    for z in truth + rng.standard_normal((draws, 3)):
        groups = {
            at: [SimpleNamespace(statements=[SimpleNamespace(z=np.array([[each]]))])] for at, each in enumerate(z)
        }
        first, second, third = judged(groups).values()
        wrong += "holds" in (first, second) or third == "does not hold"
    assert 0.001 < wrong / draws <= 0.05


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_a_claim_that_is_false_at_every_budget_holds_at_none(shared):
    """Errors are independent, or mostly shared as with common latents: in at most 2.5 % of all draws it holds."""
    rng, draws, held = np.random.default_rng(1), 4000, 0
    for common, own in zip(rng.standard_normal((draws, 1)), rng.standard_normal((draws, 3)), strict=True):
        z = shared**0.5 * common + (1 - shared) ** 0.5 * own
        groups = {
            at: [SimpleNamespace(statements=[SimpleNamespace(z=np.array([[each]]))])] for at, each in enumerate(z)
        }
        held += overall(judged(groups)) in ("holds", "holds in part")
    assert 0.001 < held / draws <= 0.025 + 3 * (0.025 / draws) ** 0.5


def test_an_estimate_that_is_the_same_at_every_budget_is_one_observation(bench):
    """At z = -2.1 a claim does not hold after the correction for two budgets, but there is only one number."""
    made = bench(claims=[less(HEUN, EULER)])
    a, b = influence(1, 1), influence(2, 1)
    gap = 2.1 * float((a.double() - b.double()).std()) / N**0.5
    for nfe in (9, 11):
        made.point(HEUN | {"nfe": nfe}, 3.0 - gap, a)
        made.point(EULER | {"nfe": nfe}, 3.0, b)
    (found,) = verdicts(made.study())
    assert (found.headline, found.outcome) == ("holds", "holds")
    assert "Difference at each budget" not in found.numbers
    assert "comparisons" not in found.numbers
    assert found.numbers.endswith("The values are the same at every budget, so that they are judged once.")


def test_a_claim_that_holds_in_part_says_what_would_decide_the_rest(bench):
    made = bench(claims=[less(HEUN, EULER)])
    two_solvers(made, {9: -9.0, 11: -1.0})
    (found,) = verdicts(made.study())
    assert re.fullmatch(r"about [\d,]+ images would decide the claim with a probability of 80 %", found.enough)
    made = bench(claims=[less(HEUN, EULER)])
    two_solvers(made, {9: -9.0, 11: -1.0, 19: 9.0})
    (found,) = verdicts(made.study())
    assert (found.outcome, found.enough) == ("holds in part", "")


def test_a_claim_that_says_why_is_judged_at_its_budget_only(bench):
    at9 = [side | {"nfe": 9} for side in (HEUN, EULER)]
    made = bench(claims=[less(*at9), less(*at9, why="it takes half the steps"), less(*at9[:1], EULER | {"nfe": 19})])
    two_solvers(made, {9: 9.0, 19: -9.0, 35: 0.0})
    bare, reasoned, across = verdicts(made.study())
    assert [found.headline for found in (bare, reasoned, across)] == ["does not hold"] * 3
    assert bare.numbers.endswith("Elsewhere: holds at 19, undecided at 35.")
    assert reasoned.numbers.startswith("Judged at 9 only: It takes half the steps. FD-x ")
    assert "Elsewhere" not in reasoned.numbers + across.numbers


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("it takes\nhalf the steps", "It takes half the steps."),
        ("dpmpp_2m is of second order", "dpmpp_2m is of second order."),
        ('They say "it is fast."', 'They say "it is fast."'),
        ("Why not?", "Why not?"),
    ],
)
def test_a_reason_is_printed_as_a_sentence(text, printed):
    assert sentence(text) == printed


def test_a_minimum_is_sought_at_each_budget(bench):
    lowest = {"argmin_in": [7], "along": "rho", "metric": "frechet"}
    made = bench(["rho", "nfe"], [{"say": "?", "expect": lowest | {"at": at}} for at in ({}, {"nfe": 9})])
    for nfe, values in {9: (5.0, 3.0, 4.0), 19: (5.0, 4.0, 3.0)}.items():
        for rho, value in zip((3, 7, 15), values, strict=True):
            made.point({"rho": rho, "nfe": nfe}, value, influence(rho + nfe, 1))
    everywhere, here = verdicts(made.study())
    assert everywhere.headline == "holds at 9, not at 19"
    assert "the lowest at the edge of the grid (rho=15)" in everywhere.numbers
    assert here.headline == "holds"
    assert here.numbers.endswith("Elsewhere: does not hold at 19.")
    assert "edge" not in here.numbers


def test_a_lowest_value_at_0_is_not_at_the_edge_of_the_grid(bench):
    made = bench(
        ["S_churn"], [{"say": "?", "expect": {"argmin_in": [0], "along": "S_churn", "at": {}, "metric": "frechet"}}]
    )
    for churn in (0, 5, 10):
        made.point({"S_churn": churn}, 3.0 + churn, influence(churn, 1))
    (found,) = verdicts(made.study())
    assert found.outcome == "holds"
    assert "edge" not in found.numbers


def test_unequal_numbers_of_evaluations_are_told(bench):
    made = bench(claims=[less(EULER, HEUN)])
    made.point({"solver": "euler", "nfe": 6}, 3.0, influence(0, 1), nfe=6)
    made.point({"solver": "heun", "nfe": 6}, 9.0, influence(1, 1), nfe=5)
    assert "(solver=heun, nfe=6), at 6 and 5 evaluations: difference" in verdicts(made.study())[0].numbers


def test_budgets_that_differ_by_intention_are_not_told(bench):
    made = bench(claims=[less(EULER | {"nfe": 9}, EULER | {"nfe": 7})])
    two_solvers(made, {7: 0.0, 9: 0.0})
    assert "evaluations" not in verdicts(made.study())[0].numbers


SAME_SIGN = "The sign of the difference does not change significantly."
INTERACTION = {"interaction": [HEUN, {"solver": "dpm"}], "with": "design", "metric": "frechet"}


def designs(made, gaps, common=10.0):
    """heun minus dpm for each design; all points share most of their noise."""
    for i, (design, gap) in enumerate(gaps.items()):
        for j, solver in enumerate(("heun", "dpm")):
            scores = influence(0, common) + influence(10 * i + j + 1, 1)
            made.point({"design": design, "solver": solver}, 50.0 + (0 if j else gap), scores)


@pytest.mark.parametrize(
    ("gaps", "outcome", "told"),
    [
        (
            {"ddpm": 1.0, "edm": 12.9, "ve": -9.6},
            "holds",
            "The sign changes significantly: heun is better for ve, and dpm for ddpm and edm.",
        ),
        ({"ddpm": 1.0, "edm": 12.9}, "holds", SAME_SIGN),
        ({"ddpm": 1.0, "edm": 1.02}, "undecided", SAME_SIGN),
    ],
)
def test_an_interaction(bench, gaps, outcome, told):
    made = bench(["design", "solver"], [{"say": "It depends.", "expect": INTERACTION}])
    designs(made, gaps)
    (found,) = verdicts(made.study())
    assert found.outcome == outcome
    assert re.search(r"FD-x, heun minus dpm by design: 1\.0\d+ ± 0\.0\d+ for ddpm, ", found.numbers)
    assert re.search(rf", p [=<] [^:;]*, n = 400\. {told}", found.numbers)


def test_an_interaction_names_the_budget_and_settings_of_its_numbers(bench):
    """The differences at 7 are equal, those at 9 are not; rho is the same everywhere."""
    made = bench(["design", "solver", "rho", "nfe"], [{"say": "?", "expect": INTERACTION}])
    for nfe, gap in ((7, 0.0), (9, 5.0)):
        for i, (design, solver) in enumerate((d, s) for d in ("edm", "vp") for s in ("heun", "dpm")):
            value = 50.0 + (gap if i == 2 else 0)
            axes = {"design": design, "solver": solver, "rho": 5, "nfe": nfe}
            made.point(axes, value, influence(i, 1), nfe=nfe - (solver == "heun"))
    (found,) = verdicts(made.study())
    assert found.headline == "holds at 9, undecided at 7"
    assert "FD-x, heun minus dpm by design, at rho=5, nfe=7, at 6 and 7 evaluations: 0.0" in found.numbers


def test_an_interaction_with_the_budget_counts_the_evaluations_of_each(bench):
    made = bench(["solver", "nfe"], [{"say": "?", "expect": INTERACTION | {"with": "nfe"}}])
    for nfe, spent in ((6, 5), (8, 7), (9, 9)):
        made.point({"solver": "heun", "nfe": nfe}, 3.0, influence(nfe, 1), nfe=spent)
        made.point({"solver": "dpm", "nfe": nfe}, 3.0, influence(nfe + 10, 1), nfe=nfe)
    numbers = verdicts(made.study())[0].numbers
    assert re.search(
        r"heun minus dpm by nfe: \S+ ± \S+ for 6 \(at 5 and 6 evaluations\), "
        r"\S+ ± \S+ for 8 \(at 7 and 8 evaluations\), \S+ ± \S+ for 9, p ",
        numbers,
    )


def test_the_change_of_a_difference_has_the_error_of_the_combined_influences(bench):
    made = bench(["design", "solver"], [{"say": "?", "expect": INTERACTION}])
    designs(made, {"ddpm": 1.0, "edm": 1.1})
    scores = [influence(0, 10.0) + influence(k, 1) for k in (1, 2, 11, 12)]
    a, b, c, d = (each.double().numpy() for each in scores)
    se = float(np.std(a - b - c + d, ddof=1)) / math.sqrt(N)
    (statement,) = verdicts(made.study())[0].statements
    assert statement.z.item() == pytest.approx(-0.1 / se, rel=1e-5)


def test_an_interaction_that_is_not_there_is_found_in_at_most_5_percent(bench):
    """Four designs between which the difference is the same, so that six pairs could differ by chance."""
    made = bench(["design", "solver"])
    designs(made, dict.fromkeys("abcd", 1.0))
    study, draws, found = made.study(), 2000, 0
    rng = np.random.default_rng(0)
    for _ in range(draws):
        noise = rng.standard_normal(4)
        z = [[-abs(noise[i] - noise[j]) / math.sqrt(2)] for i in range(4) for j in range(i)]
        found += evidence([np.array(z)]).outcome == "holds"
    assert found / draws <= 0.05 + 3 * math.sqrt(0.05 / draws)
    (needed,) = comparisons(study, INTERACTION)
    (statement,) = needed.statements()
    assert statement.z.shape == (6, 1)


@pytest.mark.parametrize("live", [False, True])
def test_verdicts_of_a_run_that_goes_on_are_preliminary(bench, live):
    """z = -2.5 decides a claim, but not if it is looked at repeatedly: that takes 3.04 standard errors."""
    made = bench(claims=[less(HEUN | {"nfe": nfe}, EULER | {"nfe": nfe}, why="x") for nfe in (9, 19)])
    two_solvers(made, {9: -2.5, 19: 0.0}, finished=lambda nfe: nfe == 9)
    study = made.study()
    found, missing = verdicts(study, live=live)
    assert found.headline == ("undecided (preliminary)" if live else "holds (preliminary)")
    assert missing.headline == "not computed"
    assert ("The always-valid 95 % interval of the difference is" in found.numbers) is live
    assert ("always-valid p = " in found.numbers) is live
    if live:
        low, high = map(float, re.search(r"difference is (\S+) to (\S+)\.$", found.numbers).groups())
        shown, se = found.statements[0].estimate.value, found.statements[0].estimate.se
        assert (low, high) == pytest.approx((shown - 3.035 * se, shown + 3.035 * se), abs=0.01)
    text = page(study, live=live)
    assert "(preliminary: the run is not complete)." in text
    assert ("so these verdicts are preliminary. Their p-values and intervals are always valid" in text) is live
    made.about["points"] = [point for point in made.points if point["axes"]["nfe"] == 9]
    (made.folder / "ablation.json").write_text(json.dumps(made.about))
    assert verdicts(made.study(), live=live)[0].headline == "holds"  # nothing is missing any more


def test_with_more_seeds_to_come_the_interval_is_wider(bench):
    made = bench(claims=[less(HEUN, EULER)])
    for seed in range(4):
        for i, solver in enumerate(("heun", "euler")):
            scores = influence(10 * seed + i, 1)
            made.point({"solver": solver, "nfe": 9}, 3.0 + i / 5, scores, seed=seed, finished=seed < 2)
    (found,) = verdicts(made.study(), live=True)
    low, high = map(float, re.search(r"difference is (\S+) to (\S+)\.$", found.numbers).groups())
    width = always_valid_width(2 * N, 4 * N) * found.statements[0].estimate.se
    assert (high - low) / 2 == pytest.approx(width, rel=0.02)
    assert always_valid_width(2 * N, 4 * N) > always_valid_width(4 * N, 4 * N)


def test_a_budget_without_a_reason_and_a_reason_without_a_budget_are_warned_of_once(tmp_path):
    (tmp_path / "x.yaml").write_text(
        SPEC.partition("claims:")[0]
        + """\
claims:
- {say: a, expect: {less: [{solver: euler, nfe: 7}, {solver: dpmpp_2m, nfe: 7}], metric: frechet}}
- {say: b, why: c, expect: {less: [{solver: euler, nfe: 7}, {solver: dpmpp_2m, nfe: 7}], metric: frechet}}
- {say: c, expect: {less: [{solver: euler, nfe: 11}, {solver: euler, nfe: 7}], metric: frechet}}
- {say: d, expect: {less: [{solver: euler}, {solver: dpmpp_2m}], metric: frechet}}
- {say: e, expect: {argmin_in: [euler], along: solver, at: {nfe: 7}, metric: frechet}}
- {say: f, why: c, expect: {less: [{solver: euler, nfe: 7}, {solver: dpmpp_2m}], metric: frechet}}
"""
    )
    ablation = load(tmp_path / "x.yaml")
    what = "names nfe: 7 without saying why (why: ...). A general claim is judged at every budget"
    unused = "gives a reason for a budget, but names none (num_steps, nfe or nfe_total) for all its points"
    assert ablation.warnings == [
        f"{tmp_path}/x.yaml:7:44: claims.0.expect.less.0.nfe: {what}",
        f"{tmp_path}/x.yaml:11:61: claims.4.expect.at.nfe: {what}",
        f"{tmp_path}/x.yaml:12:12: claims.5.why: {unused}",
    ]
    assert [claim.why for claim in ablation.claims] == ["", "c", "", "", "", "c"]


def test_a_value_is_within_bounds_if_its_skewed_interval_is():
    """The verdict on a value follows from the interval that figures show."""
    metric = {"value": 3.0, "se": 0.7, "skew": 0.5, "protocol": "FD-x"}
    row = Result(schema=1, id="0", seed=0, nfe=7, images=400, metrics={"frechet": metric}, axes={"nfe": 7})
    point = Entry({"nfe": 7}, (row,))
    low, high = point.interval("frechet")
    assert high - 3.0 > 3.0 - low
    for bounds, holds in (((low - 1e-6, high + 1e-6), True), ((low + 1e-3, 9.0), False), ((0.0, high - 1e-3), False)):
        found = evidence([statement.z for statement in value_between(point, "frechet", bounds)])
        assert (found.outcome == "holds") is holds
