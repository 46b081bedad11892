"""The Fréchet distance against closed forms, and its standard error against repeated draws."""

import math

import numpy as np
import pytest
import torch

import designspace as ds
from designspace.evaluation.evaluate import drawn, floor, measure
from designspace.evaluation.frechet import frechet, influence
from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.moments import BLOCK, Moments


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def with_nan(n, *rows):
    x = normal(n, 3)
    x[list(rows), 1] = math.nan
    return x


def spectrum(d, decay=1.0):
    return torch.arange(1, d + 1, dtype=torch.float64) ** -decay


def by_singular_values(x, y):
    """The distance without forming a covariance: tr (C_y^1/2 C_x C_y^1/2)^1/2 is the nuclear norm of X Y'."""
    means = [v.mean(0) for v in (x, y)]
    X, Y = ((v - m) / math.sqrt(len(v) - 1) for v, m in zip((x, y), means, strict=True))
    cross = torch.linalg.svdvals(X @ Y.T).sum()
    return float((means[0] - means[1]).square().sum() + X.square().sum() + Y.square().sum() - 2 * cross)


def shifted(n, d, seed=1):
    return normal(n, d, seed=seed) * spectrum(d) * torch.linspace(0.8, 1.2, d, dtype=torch.float64) + 0.1


# Moments


@pytest.mark.parametrize(("n", "d"), [(50, 7), (7, 50), (7, 7), (2, 3), (BLOCK + 5, 3)])
def test_moments_are_those_of_numpy(n, d):
    x = normal(n, d) + 1e3
    m = Moments.of(x)
    assert m.n == n
    np.testing.assert_allclose(m.mean, x.numpy().mean(0), rtol=1e-14)
    np.testing.assert_allclose(m.cov, np.cov(x.numpy().T), atol=1e-11)
    np.testing.assert_allclose(m.root @ m.root.T, m.cov, atol=1e-11)
    assert (m.factor is not None) == (n <= d)


@pytest.mark.parametrize("convert", [torch.Tensor.half, torch.Tensor.bfloat16, torch.Tensor.float, torch.Tensor.numpy])
def test_any_dtype_is_read_exactly(convert):
    x = normal(20, 4).half().double()
    m = Moments.of(convert(x))
    expected = Moments.of(torch.as_tensor(convert(x)).double())
    assert m.mean.dtype == m.cov.dtype == torch.float64
    assert torch.equal(m.cov, expected.cov)


@pytest.mark.parametrize(("n", "d"), [(30, 6), (12, 20), (20, 20), (24, 20)])
def test_merging_is_exact(n, d):
    """Parts with or without factors, in either order, give the moments and the distances of the whole."""
    x, reference = normal(n, d) + 5, Moments.of(normal(80, d, seed=9))
    whole, parts = Moments.of(x), [Moments.of(part) for part in (x[:5], x[5:8], x[8:])]
    for merged in (parts[0] + parts[1] + parts[2], parts[2] + (parts[1] + parts[0])):
        assert merged.n == n
        torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-13, atol=0)
        torch.testing.assert_close(merged.cov, whole.cov, rtol=1e-12, atol=1e-13)
        assert (merged.factor is None) == (n > d)
        assert frechet(merged, reference) == pytest.approx(frechet(whole, reference), rel=1e-12)


def test_streaming_takes_chunks_of_any_size():
    x = normal(40, 6) + 1e4
    streamed = Moments.streamed(iter([x[:1], x[1:1], x[1:20], x[20:]]))
    whole = Moments.of(x)
    torch.testing.assert_close(streamed.mean, whole.mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(streamed.cov, whole.cov, rtol=0, atol=1e-11)


def test_moments_read_but_do_not_write_the_features():
    x = normal(20, 4)
    before = x.clone()
    Moments.of(x), Moments.of(x.numpy()[:3]), influence(x, Moments.of(x))
    assert torch.equal(x, before)


# The distance


def test_one_dimension_in_closed_form():
    a = Moments(10, np.array([1.0]), np.array([[4.0]]))
    b = Moments(10, np.array([3.0]), np.array([[0.25]]))
    assert frechet(a, b) == pytest.approx(2.0**2 + (2 - 0.5) ** 2, rel=1e-14)


def test_commuting_covariances_in_closed_form():
    """d^2 = |gap|^2 + sum of (sqrt(p) - sqrt(q))^2, in any basis."""
    d = 30
    p, q, gap = spectrum(d, 2), spectrum(d, 1), normal(d)
    Q = torch.linalg.qr(normal(d, d, seed=3)).Q
    a = Moments(100, gap, Q @ torch.diag(p) @ Q.T)
    b = Moments(100, torch.zeros(d), Q @ torch.diag(q) @ Q.T)
    exact = float(gap.square().sum() + (p.sqrt() - q.sqrt()).square().sum())
    assert frechet(a, b) == pytest.approx(exact, rel=1e-12)
    assert frechet(b, a) == pytest.approx(exact, rel=1e-12)


def test_two_dimensions_that_do_not_commute():
    """For 2 x 2 matrices tr M^(1/2) = (tr M + 2 det(M)^(1/2))^(1/2), with M the product of the covariances."""
    A, B = (torch.tensor(c, dtype=torch.float64) for c in ([[2.0, 0.9], [0.9, 1.0]], [[1.0, -0.3], [-0.3, 3.0]]))
    cross = ((A @ B).trace() + 2 * torch.linalg.det(A @ B).sqrt()).sqrt()
    exact = float(A.trace() + B.trace() - 2 * cross)
    assert frechet(Moments(9, [0, 0], A), Moments(9, [0, 0], B)) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize(("decay", "rel"), [(0.5, 1e-12), (1.5, 1e-11), (4.0, 1e-11)])
@pytest.mark.parametrize(("n", "m"), [(900, 1000), (100, 1000), (1000, 100), (100, 120), (120, 100), (2, 300)])
def test_singular_values_agree(n, m, decay, rel):
    """All ways to compute the product and the root: covariances of full rank, of low rank, and singular ones."""
    d = 300
    x, y = shifted(n, d) * spectrum(d, decay), normal(m, d, seed=2) * spectrum(d, decay)
    a, b, exact = Moments.of(x), Moments.of(y), by_singular_values(x, y)
    assert frechet(a, b) == pytest.approx(exact, rel=rel)
    assert frechet(b, a) == pytest.approx(exact, rel=rel)
    without = [Moments(v.n, v.mean, v.cov) for v in (a, b)]  # a rounded covariance does not tell small from zero
    assert frechet(*without) == pytest.approx(exact, rel=1e-8 if decay == 0.5 else 1e-5)


def test_constant_features_are_no_obstacle():
    x, y = shifted(60, 10), normal(80, 10, seed=2)
    x[:, 3], y[:, 3:5] = 1.0, 2.0
    assert frechet(Moments.of(x), Moments.of(y)) == pytest.approx(by_singular_values(x, y), rel=1e-7)
    point, other = Moments.of(torch.ones(20, 4)), Moments.of(torch.zeros(20, 4))
    assert frechet(point, other) == 4
    assert not influence(torch.ones(20, 4), other).any()


def test_order_does_not_matter():
    x, b = shifted(200, 12), Moments.of(normal(300, 12))
    shuffled = x[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    assert frechet(Moments.of(shuffled), b) == pytest.approx(frechet(Moments.of(x), b), rel=1e-12)


@pytest.mark.parametrize("n", [20, 500])
def test_a_set_is_at_no_distance_from_itself(n):
    m = Moments.of(normal(n, 64) * 100)
    assert 0 <= frechet(m, m) < 1e-9 * float(m.cov.trace())


def test_the_root_of_the_reference_is_computed_once(monkeypatch):
    a, b = Moments.of(shifted(40, 8)), Moments.of(normal(40, 8))
    first = frechet(a, b)
    monkeypatch.setattr(torch.linalg, "cholesky_ex", None)
    assert frechet(a, b) == first


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: frechet(Moments.of(normal(9, 3)), Moments.of(normal(9, 4))), "features of 3 and of 4 dimensions"),
        (lambda: influence(normal(9, 3), Moments.of(normal(9, 4))), "features of 3 and of 4 dimensions"),
        (lambda: Moments.of(normal(9, 3)) + Moments.of(normal(9, 4)), "features of 3 and of 4 dimensions"),
        (lambda: Moments.streamed([normal(9, 3), normal(9, 4)]), "features of 4 and of 3 dimensions"),
        (lambda: Moments.of(normal(1, 3)), "at least 2 images, not 1"),
        (lambda: Moments.of(normal(0, 3)), "at least 2 images, not 0"),
        (lambda: Moments.streamed([]), "at least 2 images, not 0"),
        (lambda: influence(normal(1, 3), Moments.of(normal(9, 3))), "at least 2 images, not 1"),
        (lambda: Moments.of(torch.tensor([[1.0], [math.nan], [math.inf]])), "2 of 3 images have features that are not"),
        (lambda: Moments(5, [0.0, math.nan], np.eye(2)), "the mean of the features is not finite"),
        (lambda: Moments.of(torch.eye(3, 9, dtype=torch.float64) * 1e200), "the cov of the features is not finite"),
        (lambda: Moments(5, [0.0, 0.0], np.eye(3)), r"the cov of 2 features must have shape \[d, d\], not \[3, 3\]"),
        (
            lambda: Moments(5, [0.0, 0.0], np.ones((3, 2))),
            r"the cov of 2 features must have shape \[d, d\], not \[3, 2\]",
        ),
        (lambda: Moments.of(normal(9)), r"must have shape \[n, d\], not \[9\]"),
    ],
)
def test_wrong_input_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


# Features that give no distance


def measured(x, y):
    metric, detector = ds.Metric.get("frechet")(), ds.Detector.get("pixels")()
    return measure([metric], detector, Sample(x), Sample(y), lambda metric: None)["frechet"][0]


@pytest.mark.parametrize(
    ("generated", "reference", "message"),
    [
        (with_nan(9, 2, 5), normal(9, 3), r"2 of 9 generated images have features that are not finite \(2, 5\)"),
        (normal(9, 3), with_nan(40, *range(20)), r"20 of 40 images of the reference .* \(0, 1, .*, 9, \.\.\.\)"),
        (
            normal(9, 3),
            torch.ones(9, 3),
            "all 9 images of the reference have the same features: the images are identical",
        ),
        (normal(9, 3), normal(9, 4), "features of 3 and of 4 dimensions"),
        (normal(9), normal(9, 4), r"must have shape \[n, d\], not \[9\]"),
        (normal(1, 3), normal(9, 3), "at least 2 images, not 1"),
        (normal(9, 3), normal(1, 3), "at least 2 images, not 1"),
    ],
)
def test_bad_features_are_named(generated, reference, message):
    with pytest.raises(ValueError, match=message):
        measured(generated, reference)


def test_images_that_are_all_the_same_are_at_a_distance():
    """Identical images, as after one step of Euler's method, have a distance and cause a warning."""
    y = normal(50, 3)
    with pytest.warns(UserWarning, match="all 9 generated images have the same features"):
        row = measured(torch.ones(9, 3), y)
    exact = float((1 - y.mean(0)).square().sum() + torch.cov(y.T).trace())
    assert row.value == pytest.approx(exact, rel=1e-9)


# Standard errors


def test_influence_is_the_derivative():
    """The derivative of the distance when weight moves to image i is IF_i, up to the mean of all derivatives."""
    x, b, eps = shifted(60, 6), Moments.of(normal(90, 6)), 1e-5
    a = Moments.of(x)

    def moved(i, eps):
        c = x[i] - a.mean
        return frechet(Moments(60, a.mean + eps * c, (1 - eps) * (a.cov + eps * torch.outer(c, c))), b)

    slopes = torch.tensor([(moved(i, eps) - moved(i, -eps)) / (2 * eps) for i in range(60)], dtype=torch.float64)
    torch.testing.assert_close(influence(x, b), slopes - slopes.mean(), rtol=1e-6, atol=1e-7)


def test_both_gram_matrices_give_the_same_influence():
    """There are more dimensions than images, but most are empty."""
    x, y = shifted(40, 6), normal(90, 6)
    wide_x, wide_y = (torch.cat([v, torch.zeros(len(v), 60)], 1) for v in (x, y))
    of = Moments.of(wide_y)
    b = Moments(of.n, of.mean, of.cov)
    wide = Moments(of.n, of.mean, of.cov + 1e-18 * torch.eye(66), of.factor)
    assert wide.root.shape == (66, 66)
    assert b.root.shape == (66, 6)
    torch.testing.assert_close(influence(wide_x, b), influence(x, Moments.of(y)), rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(influence(wide_x, wide), influence(x, Moments.of(y)), rtol=1e-6, atol=1e-6)


def bootstrap(values_of, n, draws=300):
    g = torch.Generator().manual_seed(5)
    return float(torch.tensor([values_of(torch.randint(n, (n,), generator=g)) for _ in range(draws)]).std())


@pytest.mark.parametrize("d", [8, 16])
def test_standard_error_is_the_bootstraps(d):
    n = 50 * d
    x, reference = shifted(n, d), Sample(normal(2000, d, seed=7) * spectrum(d))
    measured = ds.Metric.get("frechet")().measure(Sample(x), reference)
    assert measured.se == pytest.approx(
        bootstrap(lambda draw: frechet(Moments.of(x[draw]), reference.moments), n), rel=0.12
    )
    assert measured.influence.dtype == torch.float32
    assert measured.influence.shape == (n,)


def test_paired_standard_error_is_the_bootstraps():
    """Two trials that differ little on the same latents: their difference is known far better than either."""
    d, n = 8, 400
    x, b = shifted(n, d), Moments.of(normal(2000, d, seed=7) * spectrum(d))
    other = x * 1.02 + 0.005 * normal(n, d, seed=8)
    effect, effect_other = influence(x, b), influence(other, b)

    def difference(draw):
        return frechet(Moments.of(other[draw]), b) - frechet(Moments.of(x[draw]), b)

    se = float((effect_other - effect).std()) / math.sqrt(n)
    assert se == pytest.approx(bootstrap(difference, n), rel=0.12)
    assert se < 0.3 * math.hypot(float(effect.std()), float(effect_other.std())) / math.sqrt(n)


@pytest.mark.parametrize("n", [16, 32, 128])
def test_standard_error_holds_below_as_many_images_as_dimensions(n):
    """Against repeated draws, for images that differ from the reference."""
    d, metric = 32, ds.Metric.get("frechet")()
    reference = Sample(normal(2000, d, seed=7) * spectrum(d))
    draws = [metric.measure(Sample(shifted(n, d, seed=100 + i) * 1.3), reference) for i in range(200)]
    values, errors = (torch.tensor(v) for v in zip(*((m.value, m.se) for m in draws), strict=True))
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.2)


# The floor


@pytest.mark.parametrize("name", ["frechet", "kid"])
def test_floor_compares_halves_of_the_reference(name):
    metric, reference = ds.Metric.get(name)(), Sample(normal(101, 4).float())
    value, size = floor(metric, reference, 2000)
    assert size == 50
    assert floor(metric, Sample(reference.features.clone()), 60) == (value, 50)
    assert abs(value) < metric.measure(Sample(reference.features + 1), reference).value / 4
    smaller, size = floor(metric, reference, 10)
    assert size == 10
    assert smaller != value


class Seen:
    """A metric that records its input and returns the sum."""

    row, name, least = "metric", "seen", 2

    def __init__(self):
        self.given = []

    def measure(self, one, other):
        self.given.append((one, other))
        self.halves = [set(half.features[:, 0].tolist()) for half in (one, other)]
        return Measured(float(one.features.sum()))

    def value(self, one, other):
        return self.measure(one, other).value

    def drawn(self, reference, draws):
        return ds.Metric.drawn(self, reference, draws)


def test_drawn_are_the_mean_and_deviation_of_eight_draws_with_replacement():
    metric, reference = Seen(), Sample(torch.arange(30.0)[:, None])
    mean, deviation = drawn(metric, reference, 20)
    draws = [one.features[:, 0] for one, _ in metric.given]
    assert all(other is reference for _, other in metric.given)
    assert len(draws) == 8
    assert all(len(draw) == 20 and set(draw.tolist()) <= set(range(30)) for draw in draws)
    assert any(len(draw.unique()) < 20 for draw in draws)
    assert len({tuple(draw.tolist()) for draw in draws}) == 8
    sums = [float(draw.sum()) for draw in draws]
    assert (mean, deviation) == pytest.approx((np.mean(sums), np.std(sums, ddof=1)))
    assert drawn(Seen(), Sample(reference.features.clone()), 20) == (mean, deviation)


def test_the_halves_have_no_image_in_common():
    metric, reference = Seen(), torch.arange(101.0)[:, None]
    for n, size in ((2000, 50), (10, 10)):
        assert floor(metric, Sample(reference), n) == (sum(metric.halves[0]), size)
        one, other = metric.halves
        assert len(one) == len(other) == size
        assert not one & other
        assert one | other < set(range(101))


def test_floor_of_a_tiny_reference_is_refused():
    with pytest.raises(ValueError, match="a reference of 3 images cannot be split"):
        floor(ds.Metric.get("frechet")(), Sample(normal(3, 2)), 100)
