"""Standard errors and intervals: against brute force, and how often they hold in repeated draws."""

import math
from functools import cache

import numpy as np
import pytest
import torch

import designspace as ds
from designspace.evaluation.measure import Sample, Summary, shuffled
from designspace.evaluation.moments import Moments
from designspace.report.evidence.contrasts import Difference
from designspace.results.caveats import FEW, few_effective
from designspace.results.records import MetricValue
from designspace.results.uncertainty import (
    Z,
    counted_once,
    critical_of,
    critical_value,
    effective_images,
    interval,
    standard_error,
)

DRAWS = 400


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def square_of_the_mean(x, mean):
    """The influences and those of pairs of (mean of x)^2, whose second order is exact: IF_2(i, j) = 2 c_i c_j."""
    c = x - x.mean()
    order = np.argsort(shuffled(len(x)))
    before = shuffled(len(x))[order - 1]
    return 2 * x.mean() * c, 2 * c * c[before]


@pytest.mark.parametrize(("mean", "rel"), [(0.0, 0.3), (0.1, 0.2), (1.0, 0.05)])
def test_the_standard_error_is_that_of_repeated_draws(mean, rel):
    """Near 0 it is up to a third too large, because variances are not negative; without pairs, by more than that."""
    generator, n = np.random.default_rng(0), 50
    draws = [generator.normal(mean, 1, n) for _ in range(4000)]
    found = [standard_error(*square_of_the_mean(x, mean)) for x in draws]
    true = float(np.std([x.mean() ** 2 for x in draws]))
    assert float(np.sqrt(np.mean(np.square(found)))) == pytest.approx(true, rel=rel)
    without = [standard_error(square_of_the_mean(x, mean)[0]) for x in draws]
    assert float(np.sqrt(np.mean(np.square(without)))) > (1.35 if mean == 0 else 0.95) * true


def test_pairs_count_once_and_never_leave_less_than_half():
    assert counted_once(5.0, 1.0) == 4
    assert counted_once(1.2, 1.0) == 0.5
    assert counted_once(0.0, 0.0) == 0
    a, b = normal(30).numpy(), 3 * normal(30, seed=1).numpy()
    v = float((b**2).sum()) / (2 * 30**3)
    assert standard_error(a, b) == pytest.approx(math.sqrt(a.var(ddof=1) / 30 - v))
    assert standard_error(a) == pytest.approx(a.std(ddof=1) / math.sqrt(30))
    assert standard_error(a.astype("f4"), b.astype("f4")) == pytest.approx(standard_error(a, b), rel=1e-6)


def test_an_interval_is_symmetric_unless_it_is_skewed():
    assert interval(1.0, 0.1) == pytest.approx((1 - 0.1 * Z, 1 + 0.1 * Z))
    assert interval(1.0, 0.1, critical=3) == pytest.approx((0.7, 1.3))
    low, high = interval(1.0, 0.1, 0.05)
    assert (low + high) / 2 == pytest.approx(1.05)
    assert (high - low) / 2 == pytest.approx(math.hypot(0.1 * Z, 0.05))
    assert low > interval(1.0, 0.1)[0]


def test_intervals_that_hold_together_are_wider():
    """Quantiles for 1 - 0.025 / 10 from tables of the normal and of Student's distribution."""
    assert critical_value(tests=10) == pytest.approx(2.8070, abs=1e-4)
    assert critical_value(5, tests=10) == pytest.approx(4.7733, abs=1e-4)
    gap = Difference(3.0, 0.5, True, degrees=5)
    assert gap.interval() == pytest.approx((3 - 2.5706 * 0.5, 3 + 2.5706 * 0.5), abs=1e-4)
    assert gap.interval(10) == pytest.approx((3 - 4.7733 * 0.5, 3 + 4.7733 * 0.5), abs=1e-4)
    skewed = Difference(3.0, 0.5, False, skew=0.2)
    assert skewed.z_from(skewed.interval()[0]) == pytest.approx(Z)
    assert Difference(3.0, None, True).interval() is None


def test_effective_images_are_those_that_matter():
    assert effective_images(np.array([1.0, -1, 1, -1])) == 4
    assert effective_images(np.array([0.0, 0, 9])) == 1
    assert effective_images(normal(10**5).numpy()) == pytest.approx(10**5 / 3, rel=0.05)
    assert math.isnan(effective_images(np.zeros(3)))


def test_a_few_images_that_determine_the_error_are_named():
    def value(effective):
        return MetricValue(value=1.0, protocol="FD", effective_images=effective)

    assert few_effective({"frechet": value(FEW), "kid": value(None)}) == ""
    assert few_effective({"frechet": value(2.34)}).endswith("may be too narrow: frechet (2.3)")


def test_no_draw_whose_interval_is_too_narrow_goes_without_a_warning():
    """Draws without an image from the long tail look fine; the reference tells that such images exist."""
    metric, n, d, w = ds.Metric.get("frechet")(), 40, 4, 1.0
    sd, least = torch.arange(1, d + 1) ** -0.5, math.exp(w**2 / 2)
    x, y = ((torch.exp(w * z) - least) * sd for z in (normal(100, n, d), normal(5000, d, seed=1)))
    reference = Sample(y)
    only_moments = Summary(reference.moments)
    alone = [metric.measure(Sample(one), only_moments).extra["effective_images"] for one in x]
    found = [metric.measure(Sample(one), reference).extra["effective_images"] for one in x]
    assert 0.1 < np.mean(np.array(alone) >= FEW) < 0.5
    assert max(found) < FEW
    gaussian = metric.measure(Sample(normal(160, 16)), Sample(normal(5000, 16, seed=1))).extra["effective_images"]
    assert gaussian > 4 * FEW


# Coverage: cells of the calibration in which value +- 1.96 std(IF) / sqrt(n), or that with pairs once, failed

LOGNORMAL, DOMINANT = 0.5, 0.1


def standard(z, family):
    if family != "lognormal":
        return z
    return (torch.exp(LOGNORMAL * z - LOGNORMAL**2 / 2) - 1) / math.sqrt(math.expm1(LOGNORMAL**2))


def spread(family, d):
    if family == "dominant":
        return torch.tensor([1.0] + [DOMINANT] * (d - 1)).double()
    return torch.arange(1, d + 1, dtype=torch.float64) ** -0.5


@cache
def drawn(family, d, n, shift, stretch):
    """Results for repeated draws, of a second trial of the same distribution on correlated latents, and the truth."""
    metric, sd = ds.Metric.get("frechet")(), spread(family, d)
    reference, found = Summary(Moments(10**9, torch.zeros(d), torch.diag(sd**2))), []
    for k in range(DRAWS):
        z, more = normal(2, n, d, seed=k)
        equal = 0.9 * z + math.sqrt(1 - 0.9**2) * more
        arms = [Sample((stretch * standard(v, family) + shift) * sd) for v in (z, equal)]
        found.append([metric.measure(arm, reference) for arm in arms])
    return found, (shift**2 + (stretch - 1) ** 2) * float(sd.square().sum())


CELLS = {
    "d = 8, near": ("gaussian", 8, 160, 0.1, 1.05),
    "d = 4, apart": ("gaussian", 4, 40, 0.3, 1.2),
    "equal": ("gaussian", 16, 160, 0.0, 1.0),
    "lognormal": ("lognormal", 4, 80, 0.1, 1.05),
    "one dominant direction": ("dominant", 16, 160, 0.1, 1.05),
}


@pytest.mark.parametrize("cell", CELLS)
def test_intervals_cover_what_they_estimate(cell):
    """92 to 98 %, within the binomial 95 % interval of 400 draws."""
    found, truth = drawn(*CELLS[cell])
    expectation = float(np.mean([one.value for one, _ in found]))
    chance = Z * math.sqrt(0.95 * 0.05 / DRAWS)
    for name, of in (("value", expectation), ("bias_corrected", truth)):
        covered = 0
        for one, _ in found:
            numbers = {"value": one.value, "value_se": one.se} | one.extra
            low, high = interval(numbers[name], numbers[f"{name}_se"], one.extra["skew"])
            covered += low <= of <= high
        assert 0.92 - chance <= covered / DRAWS <= 0.98 + chance, name


@pytest.mark.parametrize("cell", ["d = 4, apart", "equal"])
def test_equal_trials_are_rarely_called_different(cell):
    """In the cell of equal distributions, the influences alone would call less than one per cent different."""
    rejected, without = 0, 0
    for one, other in drawn(*CELLS[cell])[0]:
        gap = [(b - a).double().numpy() for a, b in ((one.influence, other.influence), (one.pairs, other.pairs))]
        rejected += abs(other.value - one.value) > Z * standard_error(*gap)
        without += abs(other.value - one.value) > Z * standard_error(gap[0])
    chance = Z * math.sqrt(0.05 * 0.95 / DRAWS)
    assert 0.02 - Z * math.sqrt(0.02 * 0.98 / DRAWS) <= rejected / DRAWS <= 0.05 + chance
    assert without <= rejected


def test_equal_trials_of_kid_are_rarely_called_different():
    kid, reference, rejected, without = ds.Metric.get("kid")(), Sample(normal(300, 6).float()), 0, 0
    for k in range(DRAWS):
        z, more = normal(2, 100, 6, seed=k + 1)
        one, other = (kid.measure(Sample(v.float()), reference) for v in (z, 0.9 * z + math.sqrt(0.19) * more))
        gap = [(b - a).double().numpy() for a, b in ((one.influence, other.influence), (one.pairs, other.pairs))]
        rejected += abs(other.value - one.value) > Z * standard_error(*gap)
        without += abs(other.value - one.value) > Z * standard_error(gap[0])
    chance = Z * math.sqrt(0.05 * 0.95 / DRAWS)
    assert 0.05 - chance <= rejected / DRAWS + 0.01 <= 0.06 + chance
    assert without / DRAWS < 0.02


def test_pairs_of_kid_are_its_second_order():
    """Against all pairs: IF_2 = 2 (h_ij - h_i - h_j + h), whose row means vanish."""
    metric, n = ds.Metric.get("kid")(), 30
    x, y = normal(n, 4).float() + 0.3, normal(40, 4, seed=1).float()

    def kernel(a, b):
        return (a.double().numpy() @ b.double().numpy().T / 4 + 1) ** 3

    near = kernel(x, y).mean(1)
    h = kernel(x, x) - near[:, None] - near
    rows = (h.sum(1) - np.diag(h)) / (n - 1)
    second = 2 * (h - rows[:, None] - rows + rows.mean())
    order = shuffled(n)
    expected = second[order, np.roll(order, 1)]
    np.testing.assert_allclose(metric.measure(Sample(x), Sample(y)).pairs.numpy()[order], expected, atol=1e-4)


@pytest.mark.parametrize("skew", [0.0, 0.3, 1.2])
@pytest.mark.parametrize("critical", [0.5, 1.0, 1.96, 2.8])
def test_the_critical_value_of_a_number_is_that_of_the_interval_which_ends_there(skew, critical):
    low, high = interval(3.0, 0.7, skew, critical)
    assert critical_of(3.0 - low, 0.7, skew) == pytest.approx(critical)
    assert critical_of(3.0 - high, 0.7, skew) == pytest.approx(-critical)


def test_no_interval_with_skew_reaches_numbers_far_below():
    assert interval(3.0, 0.7, 1.2, 1e6)[0] > 3.0 - 0.9
    assert critical_of(0.9, 0.7, 1.2) == math.inf
    assert (critical_of(0.0, 0.0), critical_of(1.0, 0.0), critical_of(-1.0, 0.0)) == (0.0, math.inf, -math.inf)
