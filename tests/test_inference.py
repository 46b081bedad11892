"""The error rates of verdicts on numbers whose truth is known: at most 2.5 % on each side."""

import math

import numpy as np
import pytest
from scipy import stats

from designspace.report.evidence.inference import (
    LEVEL,
    POWER,
    always_valid,
    always_valid_width,
    as_always_valid,
    as_normal,
    as_student,
    evidence,
    holm,
    two_sided,
    with_best,
)
from designspace.results.uncertainty import Z

DRAWS = 4000
MOST = LEVEL / 2 + 3 * math.sqrt(LEVEL / 2 / DRAWS)  # of a frequency whose expectation is 2.5 %
LEAST = LEVEL / 2 - 3 * math.sqrt(LEVEL / 2 / DRAWS)


def verdicts(parts_of, seed=0):
    """The frequency of each verdict over draws of independent standard normal numbers."""
    rng = np.random.default_rng(seed)
    found = [evidence(parts_of(rng)).outcome for _ in range(DRAWS)]
    return {verdict: found.count(verdict) / DRAWS for verdict in ("holds", "does not hold", "undecided")}


def one(z):
    return np.array([[z]])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []
    unknown = holm([0.02, math.nan, 0.01])
    assert unknown[::2] == [0.02, 0.02]
    assert math.isnan(unknown[1])


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 30])
def test_students_numbers_are_scipys(degrees):
    for t in (0.0, 0.3, -1.96, 2.7, 6.0):
        assert two_sided(as_normal(t, degrees)) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-6)
        assert math.copysign(1, as_normal(t, degrees)) == math.copysign(1, t)
    assert as_normal(1e300, degrees) == pytest.approx(8, abs=0.3)
    assert as_normal(math.inf, degrees) == math.inf
    assert math.isnan(as_normal(math.nan, degrees))


@pytest.mark.parametrize("degrees", [1, 2, 4.5, 30])
def test_students_value_of_a_normal_one(degrees):
    for z in (-3.0, 0.0, 1.96, 3.04):
        assert as_normal(as_student(z, degrees), degrees) == pytest.approx(z, abs=1e-6)
    assert as_student(1.959963984540054, degrees) == pytest.approx(stats.t.ppf(0.975, degrees))


def test_holm_keeps_the_error_of_a_family_whatever_the_dependence():
    """Ten comparisons that share one point, eight of them between equal points."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(DRAWS):
        z = (rng.standard_normal(10) - rng.standard_normal()) / math.sqrt(2)
        z[8:] += 6
        wrong += min(holm([two_sided(each) for each in z])[:8]) <= LEVEL
    assert wrong / DRAWS <= LEVEL + 3 * math.sqrt(LEVEL / DRAWS)


@pytest.mark.parametrize(("count", "expected"), [(2, 0.05), (3, 0.044), (6, 0.040), (10, 0.036), (24, 0.035)])
def test_some_of_equal_points_differs_from_the_observed_best_in_at_most_5_percent(count, expected):
    """The best is picked after seeing the data, so a correction for K - 1 comparisons would be wrong in up to 25 %."""
    rng, wrong, with_holm = np.random.default_rng(0), 0, 0
    for _ in range(DRAWS):
        values = np.sort(rng.standard_normal(count) / math.sqrt(2))
        ps = [two_sided(value - values[0]) for value in values[1:]]
        wrong += min(with_best(ps)) <= LEVEL
        with_holm += min(holm(ps)) <= LEVEL
    error = 3 * math.sqrt(LEVEL / DRAWS)
    assert wrong / DRAWS <= LEVEL + error
    assert wrong / DRAWS == pytest.approx(expected, abs=error)
    assert with_holm / DRAWS > LEVEL + error or count == 2


def test_pairs_of_the_best_by_hand():
    assert with_best([0.01]) == [0.01]
    assert with_best([0.01, 0.4, 0.002]) == pytest.approx([0.06, 1.0, 0.012])
    assert math.isnan(with_best([math.nan, 0.2])[0])


def test_a_difference_is_decided_at_1_96_standard_errors():
    for z, verdict in ((-1.961, "holds"), (-1.959, "undecided"), (1.959, "undecided"), (1.961, "does not hold")):
        assert evidence([one(z)]).outcome == verdict
    assert evidence([one(-1.3)]).p == pytest.approx(two_sided(1.3))


def test_equal_points_are_decided_in_five_percent():
    found = verdicts(lambda rng: [one(rng.standard_normal())])
    assert LEAST <= found["holds"] <= MOST
    assert LEAST <= found["does not hold"] <= MOST


@pytest.mark.parametrize("rest", [-9.0, 0.0])
def test_several_comparisons_with_one_of_equals(rest):
    """The claim is at its boundary: false if one difference is 0, true if it is slightly lower."""
    found = verdicts(lambda rng: [one(z) for z in rng.standard_normal(6) + np.array((0.0, *(rest,) * 5))])
    assert found["holds"] <= MOST
    assert found["does not hold"] <= MOST
    if rest < 0:  # all but one are sure: that one is tested at the full level
        assert found["holds"] >= LEAST
    else:  # Holm over six
        assert found["does not hold"] >= LEAST


def test_steps_of_a_curve_share_their_points():
    """monotone: flat, so that the claim is at its border; then falling, so that it holds."""

    def steps(drop):
        return lambda rng: [one(z) for z in np.diff(rng.standard_normal(6) - drop * np.arange(6)) / math.sqrt(2)]

    flat = verdicts(steps(0.0))
    assert flat["holds"] <= MOST
    assert flat["does not hold"] <= MOST
    assert verdicts(steps(7.0))["holds"] > 0.95
    assert verdicts(steps(-7.0))["does not hold"] > 0.95


@pytest.mark.parametrize("width", [0.1, 2.0, 12.0])
def test_bounds(width):
    """within: a value on the upper bound, then one in the middle; bounds in standard errors."""

    def between(theta):
        def parts(rng):
            seen = theta + rng.standard_normal()
            return [one(-width / 2 - seen), one(seen - width / 2)]

        return parts

    border, middle = verdicts(between(width / 2)), verdicts(between(0.0))
    assert border["holds"] <= MOST
    assert border["does not hold"] <= MOST
    assert middle["does not hold"] <= MOST
    assert (middle["holds"] > 0.95) is (width == 12.0)
    assert verdicts(between(width / 2 + 6))["does not hold"] > 0.95


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ((0.0,), (0.0,)),
        ((0.0, 0.0, 0.0), (0.0, 9.0, 9.0)),
        ((0.0, 9.0), (0.0, 0.0, 0.0, 0.0)),
        ((0.0,) * 4, (0.0,) * 4),
    ],
)
def test_the_lowest_of_several(inside, outside):
    """argmin_in: the lowest of both sides are equal, the border of the claim; then one side is clearly lower."""

    def gaps(shift):
        def parts(rng):
            a, b = (np.array(side) + rng.standard_normal(len(side)) for side in (inside, outside))
            return [(a[:, None] + shift - b) / math.sqrt(2)]

        return parts

    border = verdicts(gaps(0.0))
    assert border["holds"] <= MOST
    assert border["does not hold"] <= MOST
    assert verdicts(gaps(-8.0))["holds"] > 0.95
    assert verdicts(gaps(8.0))["does not hold"] > 0.95


def test_a_ratio_is_tested_with_an_uncertain_denominator():
    """ratio_at_least, b three standard errors above 0 only: the linear statement keeps its level."""
    ratio, b = 2.0, 3.0

    def parts(rng):
        seen_a, seen_b = rng.normal(ratio * b, 1.0), rng.normal(b, 1.0)
        return [one((ratio * seen_b - seen_a) / math.hypot(1.0, ratio)), one(-seen_b)]

    found = verdicts(parts)
    assert found["holds"] <= MOST
    assert found["does not hold"] <= MOST


def decided(z, times, count=None):
    """The share of draws in which statements with these z-values are decided after the number of images has grown."""
    rng, outcomes = np.random.default_rng(0), []
    for _ in range(DRAWS):
        grown = [each * math.sqrt(times) + rng.standard_normal(each.shape) for each in z]
        outcomes.append(evidence(grown, count).outcome)
    return sum(outcome != "undecided" for outcome in outcomes) / DRAWS


CHANCE = 3 * math.sqrt(POWER * (1 - POWER) / DRAWS)


@pytest.mark.parametrize("z", [-1.32, 0.4])
def test_the_stated_number_of_images_decides_one_difference_in_80_percent(z):
    times = evidence([one(z)]).times
    assert times == pytest.approx(((1.959964 + 0.841621) / z) ** 2, rel=1e-5)
    assert abs(decided([one(z)], times) - POWER) < CHANCE
    assert decided([one(z)], (1.959964 / z) ** 2) == pytest.approx(
        0.5, abs=CHANCE * 1.25
    )  # when the estimate is 1.96 se


@pytest.mark.parametrize("z", [(-1.0, -1.1, -1.2), (-0.5, -0.5, -0.5, -0.5), (-1.0, -9.0)])
def test_the_stated_number_of_images_decides_several_comparisons_in_80_percent(z):
    """The bound on the joint failure is nearly exact for independent comparisons."""
    parts = [one(each) for each in z]
    share = decided(parts, evidence(parts).times)
    assert POWER - CHANCE < share < POWER + CHANCE + 0.03


def test_the_stated_number_of_images_contradicts_one_of_several_comparisons_in_80_percent():
    parts = [one(1.0), *(one(-0.01) for _ in range(9))]
    assert abs(decided(parts, evidence(parts).times) - POWER) < CHANCE


LOOKS = [200 * 2**j for j in range(7)]


def test_always_valid_p_values_and_intervals_agree_with_the_published_formulas():
    """The half-width of the asymptotic confidence sequence, Waudby-Smith et al. (2021), Eq. 3."""
    alpha, planned = LEVEL, 3200
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / planned
    for n in (200, 3200, 12800):
        k = n * rho2
        half = math.sqrt(2 * (k + 1) / (n**2 * rho2) * math.log(math.sqrt(k + 1) / alpha))
        width = always_valid_width(n, planned)
        assert width / math.sqrt(n) == pytest.approx(half)
        assert always_valid(width, n, planned) == pytest.approx(alpha)
        assert two_sided(as_always_valid(one(-width), n, planned).item()) == pytest.approx(alpha)
    assert always_valid_width(3200, 3200) == pytest.approx(3.035, abs=1e-3)
    assert always_valid(0.0, 10, 3200) == 1
    assert np.isnan(as_always_valid(one(math.nan), 10, 3200)).all()


def test_looking_while_a_run_is_going_on():
    """Seven looks at two identical configurations: the fixed interval finds a difference in 22 % of all runs."""
    rng = np.random.default_rng(0)
    steps = np.diff([0, *LOOKS])
    sums = np.cumsum(rng.standard_normal((DRAWS, len(LOOKS))) * np.sqrt(steps), axis=1)
    z = sums / np.sqrt(LOOKS)
    fixed = (np.abs(z) > Z).any(1).mean()
    assert fixed == pytest.approx(0.22, abs=0.02)
    valid = [[always_valid(each, n, LOOKS[-1]) <= LEVEL for each, n in zip(row, LOOKS, strict=True)] for row in z]
    assert np.any(valid, axis=1).mean() <= 0.02


def test_unknown_values_decide_nothing():
    assert evidence([one(math.nan)]).outcome == "undecided"
    assert evidence([one(-9.0), one(math.nan)]).outcome == "undecided"
    assert evidence([one(9.0), one(math.nan)]).outcome == "does not hold"
    assert evidence([one(0.0)]).times == math.inf
    assert evidence([np.array([[math.nan], [-9.0]])]).outcome == "holds"  # another of those inside is lower
