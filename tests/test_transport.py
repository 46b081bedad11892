"""Wasserstein distances and the extrapolated Fréchet distance against closed forms and repeated draws."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

import designspace as ds
from designspace.evaluation import transport
from designspace.evaluation.frechet import frechet
from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Moments


def metric(name, **fields):
    return ds.Metric.get(name)(**fields)


def sample(n, d=1, seed=0, shift=0.0, scale=1.0):
    return Sample(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 7), (12, 18), (31, 40), (40, 31), (1, 5), (5, 1)])
def test_the_earth_movers_distance_is_scipys(n, m):
    x, y = sample(n, seed=1, shift=0.3), sample(m, seed=2, scale=2)
    expected = wasserstein_distance(x.features[:, 0].double(), y.features[:, 0].double())
    assert metric("wasserstein").measure(x, y).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize(("n", "m"), [(7, 7), (12, 18), (31, 40)])
def test_it_is_that_of_as_many_copies_in_order(n, m, p):
    x, y = sample(n, seed=1, shift=0.3), sample(m, seed=2, scale=2)
    pairs = (np.sort(np.repeat(v.features[:, 0].double().numpy(), k)) for v, k in ((x, m), (y, n)))
    expected = np.mean(np.abs(np.subtract(*pairs)) ** p) ** (1 / p)
    assert metric("wasserstein", p=p).measure(x, y).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize(("n", "m"), [(12, 12), (12, 18), (31, 40)])
def test_influence_is_the_derivative_by_the_weight(n, m, p):
    """One more copy is added to many copies of each image, on both sides of the kink where n divides m."""
    x, y, copies = sample(n, seed=1, shift=0.3), sample(m, seed=2, scale=2), 2000
    measured = metric("wasserstein", p=p).measure(x, y)
    many, total = x.features.repeat(copies, 1), n * copies

    def slope(changed):
        return (metric("wasserstein", p=p).measure(Sample(changed), y).value - measured.value) * total

    for i in (0, n // 2, n - 1):
        more, fewer = torch.cat([many, x.features[i : i + 1]]), torch.cat([many[:i], many[i + 1 :]])
        expected = (slope(more) - slope(fewer)) / 2
        assert float(measured.influence[i]) == pytest.approx(expected, abs=2e-3)


def test_slices_of_one_dimension_are_the_whole():
    x, y = sample(30, shift=0.3), sample(40, seed=1)
    whole, sliced = (metric(name, p=2).measure(x, y) for name in ("wasserstein", "sliced_wasserstein"))
    assert sliced.value == pytest.approx(whole.value, rel=1e-9)
    assert sliced.se == pytest.approx(whole.se, rel=1e-5)


def test_slices_are_the_same_for_every_trial_and_whatever_their_number_at_once(monkeypatch):
    x, y, of = sample(30, 5), sample(40, 5, seed=1), metric("sliced_wasserstein", directions=50)
    first = of.measure(x, y)
    monkeypatch.setattr(transport, "COLUMNS", 7)
    monkeypatch.setattr(transport, "BLOCK", 9)
    assert of.measure(x, y).value == pytest.approx(first.value, rel=1e-12)
    assert metric("sliced_wasserstein", directions=50, seed=1).measure(x, y).value != pytest.approx(first.value)


@pytest.mark.parametrize("d", [3, 20])
def test_a_shift_is_seen_along_its_share_of_the_directions(d):
    """Along theta it is |theta . g|, exactly; the mean square over the sphere is |g|^2 / d."""
    x = sample(50, d)
    measured = metric("sliced_wasserstein", directions=4000).measure(Sample(x.features + 2), x)
    assert measured.value == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(
    ("name", "d", "fields"),
    [
        ("wasserstein", 1, {}),
        ("wasserstein", 1, {"p": 2}),
        ("sliced_wasserstein", 5, {"directions": 40}),
        ("fid_infinity", 4, {}),
    ],
)
def test_standard_errors_are_those_of_repeated_draws(name, d, fields):
    reference, n, of, found = sample(300, d, seed=9999), 200, metric(name, **fields), []
    for seed in range(60 if name == "fid_infinity" else 120):
        x = sample(n, d, seed=seed, shift=0.4)
        a, b = (of.measure(Sample(x.features * s), reference) for s in (1, 1.3))
        found.append((a.value, a.se, a.value - b.value, float((a.influence - b.influence).std()) / math.sqrt(n)))
    values, errors, gaps, paired = np.array(found).T
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.25)
    assert math.sqrt(np.mean(paired**2)) == pytest.approx(gaps.std(), rel=0.25)


def test_extrapolation_takes_the_bias_away():
    reference, n, d = sample(400, 4, seed=9999), 400, 4
    truth = frechet(Moments(10**9, torch.full((d,), 0.1), torch.eye(d)), reference.moments)
    found = [metric("fid_infinity").measure(sample(n, d, seed, 0.1), reference) for seed in range(60)]
    values, raw = np.array([(m.value, m.extra["raw"]) for m in found]).T
    se = values.std() / math.sqrt(len(values))
    assert values.mean() == pytest.approx(truth, abs=3 * se)
    assert raw.mean() > truth + 5 * raw.std() / math.sqrt(len(raw))


def test_extrapolation_fits_a_line_in_1_over_n():
    """On distances that lie on one: n equal images have none of the bias, whatever the subset."""
    x, reference = Sample(torch.ones(100, 3)), sample(50, 3)
    measured = metric("fid_infinity").measure(x, reference)
    assert measured.value == pytest.approx(frechet(x.moments, reference.moments), rel=1e-9)
    assert measured.extra["raw"] == pytest.approx(measured.value, rel=1e-9)
    assert measured.se == pytest.approx(0, abs=1e-9)


def test_extrapolation_depends_on_its_seed_alone():
    x, reference = sample(100, 3, shift=0.3), sample(200, 3, seed=1)
    first, again, other = (metric("fid_infinity", seed=seed).measure(x, reference) for seed in (0, 0, 1))
    assert first.value == again.value
    assert torch.equal(first.influence, again.influence)
    assert first.value != other.value
    assert other.value == pytest.approx(first.value, abs=4 * first.se)


def test_names_say_which_features():
    of = metric("fid_infinity")
    assert of.called("FID") == "FID_INFINITY"
    assert of.called("FD-lite0-96-320") == "FD_INFINITY-lite0-96-320"
    assert metric("frechet").called("FID") == "FID"
    assert metric("kid").called("FID") == "KID-inception"
    assert metric("precision", k=5).called("FD-lite0-96-320") == "PRECISION(k=5)-lite0-96-320"


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="wasserstein is for one feature per image, not 2: use sliced_wasserstein"):
        metric("wasserstein").measure(sample(9, 2), sample(9, 2))
    with pytest.raises(ValueError, match="features of 3 and of 4 dimensions"):
        metric("sliced_wasserstein").measure(sample(9, 3), sample(9, 4))
    with pytest.raises(ValueError, match="need at least 20 images, not 19"):
        metric("fid_infinity").measure(sample(19, 2), sample(50, 2))
    for name in ("wasserstein", "sliced_wasserstein", "fid_infinity"):
        with pytest.raises(ValueError, match="not finite"):
            metric(name).measure(Sample(torch.full((30, 1), math.nan)), sample(30))
