"""KID against its definition, and its bias and standard error against repeated draws."""

import math
import sys

import numpy as np
import pytest
import torch

import designspace as ds
from designspace.evaluation.measure import Sample

KID = ds.Metric.get("kid")()
kernel = sys.modules[type(KID).__module__]  # as the package has imported it


def sample(n, d=6, seed=0, shift=0.0):
    return Sample(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift)


def by_definition(x, y):
    x, y = (v.features.double().numpy() for v in (x, y))
    n, m = len(x), len(y)

    def k(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 3

    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def repeated(n, m, shift, draws=300):
    reference = sample(m, seed=9)
    measured = [KID.measure(sample(n, seed=1000 + i, shift=shift), reference) for i in range(draws)]
    return torch.tensor([m.value for m in measured]), torch.tensor([m.se for m in measured])


@pytest.mark.parametrize(("n", "m"), [(2, 2), (30, 41), (41, 30)])
@pytest.mark.parametrize("block", [7, 1024])
def test_it_is_its_definition(n, m, block, monkeypatch):
    monkeypatch.setattr(kernel, "BLOCK", block)
    x, y = sample(n, shift=0.3), sample(m, seed=1)
    assert KID.measure(x, y).value == pytest.approx(by_definition(x, y), rel=1e-11)


def test_it_is_unbiased():
    """Zero on average for equal distributions, where one with the diagonals, or a diagonal too few, would not be."""
    values = torch.tensor([KID.measure(sample(20, seed=i), sample(25, seed=5000 + i)).value for i in range(500)])
    se = float(values.std()) / math.sqrt(500)
    diagonal = 8 / 20 + 8 / 25  # k(x, x) is (1 + |x|^2 / d)^3, about 8
    assert abs(float(values.mean())) < 3 * se < 0.1 * diagonal


def test_blocks_change_nothing(monkeypatch):
    """They change neither the value nor its standard error nor the influence of any image."""
    x, y = sample(41, shift=0.3), sample(30, seed=1)
    whole = KID.measure(x, y)
    monkeypatch.setattr(kernel, "BLOCK", 7)
    parts = KID.measure(x, Sample(y.features))
    assert (parts.value, parts.se) == pytest.approx((whole.value, whole.se), rel=1e-11)
    torch.testing.assert_close(parts.influence, whole.influence)


@pytest.mark.parametrize(("shift", "n"), [(0.0, 40), (0.0, 200), (0.1, 100), (1.0, 100)])
def test_standard_error_is_that_of_repeated_draws(shift, n):
    values, errors = repeated(n, 300, shift)
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(values.std()), rel=0.2)


def test_paired_standard_error_is_that_of_repeated_draws():
    reference, n = sample(300, seed=9), 100
    values, errors = [], []
    for i in range(300):
        x = sample(n, seed=1000 + i, shift=0.5)
        one, other = (KID.measure(v, reference) for v in (x, Sample(x.features * 1.1)))
        values.append(other.value - one.value)
        errors.append(float((other.influence - one.influence).std()) / math.sqrt(n))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_influence_is_what_the_image_changes():
    """Leaving image i out moves the value by -IF_i / (n - 2) exactly: the statistic is a mean over pairs."""
    n, x, y = 30, sample(30, shift=0.3), sample(50, seed=1)
    measured = KID.measure(x, y)
    assert abs(float(measured.influence.mean())) < 1e-6
    for i in (0, 17):
        without = Sample(torch.cat([x.features[:i], x.features[i + 1 :]]))
        change = KID.measure(without, y).value - measured.value
        assert change == pytest.approx(-float(measured.influence[i]) / (n - 2), rel=1e-4)


def test_a_reference_serves_many_trials_and_is_not_mistaken_for_another():
    x, y, z = sample(30), sample(40, seed=1), sample(40, seed=2, shift=1)
    expected = [by_definition(x, v) for v in (y, z)]
    assert [KID.measure(x, v).value for v in (y, z, y, z)] == pytest.approx(expected * 2, rel=1e-10)


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
