"""KID and CMMD against their definitions, and their bias and standard errors against repeated draws."""

import math

import numpy as np
import pytest
import torch

import designspace as ds
from designspace.evaluation import mmd
from designspace.evaluation.measure import Sample


def metric(name, **fields):
    return ds.Metric.model_validate({"name": name, **fields})


KID = metric("kid")
METRICS = [
    KID,
    metric("cmmd"),
    metric("cmmd", sigma=0.7),
    metric("cmmd", statistic="V"),
    metric("cmmd", statistic="V", sigma=1.5, normalised=False),
]
each_metric = pytest.mark.parametrize("metric", METRICS, ids=str)


def sample(n, d=6, seed=0, shift=0.0):
    return Sample(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift)


def by_definition(metric, x, y):
    """All sums as loops over pairs."""
    x, y = (v.features.double().numpy() for v in (x, y))
    if metric.name == "cmmd" and metric.normalised:
        x, y = (v / np.linalg.norm(v, axis=1)[:, None] for v in (x, y))

    def k(a, b):
        if metric.name == "kid":
            return (np.dot(a, b) / len(a) + 1) ** 3
        return 1000 * math.exp(-((a - b) ** 2).sum() / (2 * metric.sigma**2))

    def among(v):
        same = metric.name == "cmmd" and metric.statistic == "V"
        pairs = [(i, j) for i in range(len(v)) for j in range(len(v)) if same or i != j]
        return sum(k(v[i], v[j]) for i, j in pairs) / len(pairs)

    return among(x) + among(y) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


def repeated(metric, n, m, shift, draws=300):
    reference = sample(m, seed=9)
    measured = [metric.measure(sample(n, seed=1000 + i, shift=shift), reference) for i in range(draws)]
    return torch.tensor([m.value for m in measured]), torch.tensor([m.se for m in measured])


@pytest.mark.parametrize(("n", "m"), [(2, 2), (30, 41), (41, 30)])
@pytest.mark.parametrize("block", [7, 1024])
@each_metric
def test_it_is_its_definition(metric, n, m, block, monkeypatch):
    monkeypatch.setattr(mmd, "BLOCK", block)
    x, y = sample(n, shift=0.3), sample(m, seed=1)
    assert metric.measure(x, y).value == pytest.approx(by_definition(metric, x, y), rel=1e-10, abs=1e-11)


@pytest.mark.parametrize(("metric", "diagonal"), [(KID, 8), (metric("cmmd", sigma=0.7), 1000)], ids=str)
def test_it_is_unbiased(metric, diagonal):
    """Zero on average for equal distributions, where one with the diagonals, or a diagonal too few, would not be.

    For KID, k(x, x) is (1 + |x|^2 / d)^3, about 8.
    """
    values = torch.tensor([metric.measure(sample(20, seed=i), sample(25, seed=5000 + i)).value for i in range(500)])
    se = float(values.std()) / math.sqrt(500)
    assert abs(float(values.mean())) < 3 * se < 0.1 * (diagonal / 20 + diagonal / 25)


def test_statistics_of_cmmd_differ_by_the_pairs_of_an_image_with_itself():
    """V - U is (1000 - mean k) / n for each set, where the mean is over pairs of different images."""
    x, y = sample(30, shift=0.3), sample(40, seed=1)
    U, V = (metric("cmmd", statistic=of, sigma=0.7).measure(x, y).value for of in "UV")
    expected = 0.0
    for features in (x.features.double(), y.features.double()):
        n, unit = len(features), features / features.norm(dim=1, keepdim=True)
        k = 1000 * torch.exp(-torch.cdist(unit, unit).square() / (2 * 0.7**2))
        expected += (1000 - float(k.sum() - k.trace()) / (n * (n - 1))) / n
    assert pytest.approx(expected, rel=1e-9) == V - U


def test_cmmd_of_a_set_and_itself_is_0_and_no_set_is_closer():
    x, V = sample(40), metric("cmmd", statistic="V", sigma=0.7)
    assert V.measure(x, x).value == pytest.approx(0, abs=1e-9)
    assert all(V.measure(sample(40, seed=seed), x).value > 0 for seed in range(1, 20))
    assert metric("cmmd").measure(x, x).value < 0


def test_cmmd_ignores_rotations_and_if_normalised_the_lengths():
    x, y = sample(30, shift=0.3), sample(40, seed=1)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)))
    lengths = torch.rand(30, 1, generator=torch.Generator().manual_seed(4)) + 0.5
    for normalised in (True, False):
        cmmd = metric("cmmd", sigma=1.0, normalised=normalised)
        value = cmmd.measure(x, y).value
        turned = cmmd.measure(Sample(x.features @ turn), Sample(y.features @ turn)).value
        scaled = cmmd.measure(Sample(x.features * lengths), y).value
        assert turned == pytest.approx(value, rel=1e-5)
        assert (scaled == pytest.approx(value, rel=1e-5)) is normalised


def test_cmmd_with_the_published_sigma_is_nearly_the_distance_of_the_means():
    """As its docstring says: the kernel is nearly linear for features of length 1."""
    x, y = sample(400, shift=0.5), sample(500, seed=1)
    means = [torch.nn.functional.normalize(v.features.double()).mean(0) for v in (x, y)]
    value = metric("cmmd", statistic="V").measure(x, y).value
    assert value == pytest.approx(1000 * float((means[0] - means[1]).square().sum()) / 100, rel=0.02)


def test_a_feature_of_length_0_is_measured():
    x = Sample(torch.cat([torch.zeros(1, 6), sample(20).features]))
    assert math.isfinite(metric("cmmd").measure(x, sample(30, seed=1)).value)


@each_metric
def test_blocks_change_nothing(metric, monkeypatch):
    """They change neither the value nor its standard error nor the influence of any image or pair."""
    x, y = sample(41, shift=0.3), sample(30, seed=1)
    whole = metric.measure(x, y)
    monkeypatch.setattr(mmd, "BLOCK", 7)
    parts = metric.measure(x, Sample(y.features))
    assert (parts.value, parts.se) == pytest.approx((whole.value, whole.se), rel=1e-9)
    torch.testing.assert_close(parts.influence, whole.influence)
    torch.testing.assert_close(parts.pairs, whole.pairs)


@pytest.mark.parametrize(("shift", "n"), [(0.0, 40), (0.0, 200), (0.1, 100), (1.0, 100)])
@pytest.mark.parametrize("metric", [KID, metric("cmmd", statistic="V", sigma=0.7)], ids=str)
def test_standard_error_is_that_of_repeated_draws(metric, shift, n):
    values, errors = repeated(metric, n, 300, shift)
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(values.std()), rel=0.2)


@pytest.mark.parametrize("metric", [KID, metric("cmmd"), metric("cmmd", statistic="V", sigma=0.7)], ids=str)
def test_paired_standard_error_is_that_of_repeated_draws(metric):
    reference, n = sample(300, seed=9), 100
    values, errors = [], []
    for i in range(300):
        x = sample(n, seed=1000 + i, shift=0.5)
        one, other = (metric.measure(v, reference) for v in (x, Sample(x.features + 0.1)))
        values.append(other.value - one.value)
        errors.append(float((other.influence - one.influence).std()) / math.sqrt(n))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


@pytest.mark.parametrize("metric", [KID, metric("cmmd", sigma=0.7)], ids=str)
def test_influence_is_what_the_image_changes(metric):
    """Leaving image i out moves the value by -IF_i / (n - 2) exactly: the statistic is a mean over pairs."""
    n, x, y = 30, sample(30, shift=0.3), sample(50, seed=1)
    measured = metric.measure(x, y)
    assert abs(float(measured.influence.mean())) < 1e-6 * float(measured.influence.abs().max())
    for i in (0, 17):
        without = Sample(torch.cat([x.features[:i], x.features[i + 1 :]]))
        change = metric.measure(without, y).value - measured.value
        assert change == pytest.approx(-float(measured.influence[i]) / (n - 2), rel=1e-4)


def test_a_reference_serves_many_trials_and_metrics_and_is_not_mistaken_for_another():
    x, y, z = sample(30), sample(40, seed=1), sample(40, seed=2, shift=1)
    for metric in METRICS:
        expected = [by_definition(metric, x, v) for v in (y, z)]
        assert [metric.measure(x, v).value for v in (y, z, y, z)] == pytest.approx(expected * 2, rel=1e-9)


def test_few_images_have_no_standard_error():
    assert KID.measure(sample(3), sample(9)).se is None
    assert KID.measure(sample(4), sample(9)).se > 0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (sample(1), sample(9), "needs at least 2 images, not 1"),
        (sample(9), sample(1), "needs at least 2 images, not 1"),
        (sample(9, d=3), sample(9, d=4), "features of 3 and of 4 dimensions"),
        (Sample(torch.full((9, 6), math.nan)), sample(9), "9 of 9 images have features that are not finite"),
    ],
)
def test_wrong_input_is_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        KID.measure(x, y)


@each_metric
@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_float32_products_agree_to_a_millionth(metric, shift, monkeypatch):
    """Of the value or of its standard error, whichever is larger, for features far from 0."""
    x, y = sample(600, d=40, shift=5 + shift), sample(900, d=40, seed=1, shift=5)
    exact = metric.measure(x, y)
    monkeypatch.setattr(mmd, "EXACT", 0)
    fast = metric.measure(Sample(x.features), Sample(y.features))
    assert fast.value != exact.value
    assert abs(fast.value - exact.value) < 1e-6 * max(abs(exact.value), exact.se)
    assert fast.se == pytest.approx(exact.se, rel=1e-6)
    assert float((fast.influence - exact.influence).abs().max()) < 1e-5 * float(exact.influence.abs().max())


@each_metric
@pytest.mark.parametrize("n", [20, 60])
def test_draws_from_the_reference_have_the_values_of_any_images(metric, n):
    """In one pass over the pairs of the reference, for fewer and for more images than it has."""
    y = sample(40)
    draws = [np.random.default_rng(seed).integers(40, size=n) for seed in range(3)]
    expected = [metric.measure(Sample(y.features[draw]), Sample(y.features)).value for draw in draws]
    assert metric.drawn(y, draws) == pytest.approx(expected, rel=1e-9)
    x = sample(30, seed=2)
    assert metric.measure(x, y).value == pytest.approx(metric.measure(x, Sample(y.features)).value, rel=1e-12)


@each_metric
def test_the_pairs_of_a_reference_are_computed_once_for_all_runs(metric):
    kept: dict[str, dict] = {}

    def store(name, make):
        if name not in kept:
            kept[name] = make()
        return kept[name]

    x, y = sample(30), sample(40, seed=1)
    first = metric.measure(x, Sample(y.features, store=store)).value
    assert len(kept) == 1
    for tensors in kept.values():
        tensors["mean"] += 1
    again = metric.measure(x, Sample(y.features, store=store)).value
    assert again != first


def test_components_that_allow_tf32_do_not_change_products():
    from designspace.registry.float32 import full_float32

    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        with full_float32():
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
