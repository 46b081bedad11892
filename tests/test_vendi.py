"""The Vendi score against its definition, and its standard error against repeated draws."""

import math
import sys

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag

import designspace as ds
from designspace.evaluation.measure import Sample, Summary
from designspace.evaluation.moments import Moments

ORDERS = [1.0, 0.3, 2.0, math.inf]


def vendi(**fields):
    return ds.Metric.model_validate({"name": "vendi", **fields})


def sample(n, d=6, seed=0):
    scales = torch.linspace(0.3, 2, d)
    return Sample(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scales + 0.3)


def measured(x, q=1.0):
    return vendi(q=q).measure(x, x)


def by_definition(x, q):
    x = [np.asarray(row, np.float64) for row in x.features]
    K = np.array([[a @ b / math.sqrt((a @ a) * (b @ b)) for b in x] for a in x])
    values = np.linalg.eigvalsh(K / len(x)).clip(0)
    values = values[values > 1e-12]
    if q == 1:
        return math.exp(-sum(v * math.log(v) for v in values))
    return 1 / max(values) if math.isinf(q) else sum(v**q for v in values) ** (1 / (1 - q))


@pytest.mark.parametrize("q", ORDERS)
@pytest.mark.parametrize(("n", "d"), [(5, 8), (8, 8), (40, 6), (1, 3), (2, 1)])
def test_it_is_its_definition(n, d, q):
    x = sample(n, d)
    assert measured(x, q).value == pytest.approx(by_definition(x, q), rel=1e-9)
    assert vendi(q=q).value(x, x) == pytest.approx(measured(x, q).value, rel=1e-12)


@pytest.mark.parametrize("q", ORDERS)
@pytest.mark.parametrize("k", [1, 3, 7])
def test_k_orthogonal_groups_of_one_size_count_k(k, q):
    features = block_diag(*[np.full((6, 2), 1.0 + i) for i in range(k)])  # lengths do not matter
    assert measured(Sample(torch.from_numpy(features).float()), q).value == pytest.approx(k, rel=1e-9)


def test_orders_see_a_rare_group_differently():
    x = Sample(torch.eye(2)[[0] * 99 + [1]])
    values = [measured(x, q).value for q in (0.1, 1.0, 2.0, math.inf)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx((0.99**0.1 + 0.01**0.1) ** (1 / 0.9))
    assert values[-1] == pytest.approx(1 / 0.99)
    for q in (1 - 1e-15, 1 + 1e-12, 1 + 1e-7):
        near, one = measured(x, q), measured(x)
        assert near.value == pytest.approx(one.value, rel=1e-5)
        assert near.se == pytest.approx(one.se, rel=1e-5)


def test_it_ignores_rotations_lengths_copies_and_the_order_of_the_images():
    x = sample(30)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)))
    same = [x.features @ turn, x.features * torch.linspace(0.1, 9, 30)[:, None], x.features.repeat(3, 1)]
    for features in (*same, x.features.flip(0)):
        assert measured(Sample(features)).value == pytest.approx(measured(x).value, rel=1e-5)


def test_features_without_a_direction_are_a_group_of_their_own():
    assert measured(Sample(torch.cat([torch.zeros(4, 3), torch.eye(3)[[0] * 4]]))).value == pytest.approx(2)
    assert measured(Sample(torch.zeros(5, 3))).value == pytest.approx(1)


@pytest.mark.parametrize("d", [6, 60])
def test_blocks_change_nothing(d, monkeypatch):
    x = sample(41, d)
    whole = measured(x)
    monkeypatch.setattr(sys.modules[type(vendi()).__module__], "BLOCK", 7)
    assert measured(x).value == pytest.approx(whole.value, rel=1e-10)
    torch.testing.assert_close(measured(x).influence, whole.influence)


@pytest.mark.parametrize("q", ORDERS)
def test_influence_is_what_a_copy_of_the_image_changes(q):
    """One of n + 1 images that is a copy of image i moves the value by IF_i / (n + 1), up to 1 / n^2."""
    x = sample(4000)
    whole = measured(x, q)
    assert abs(float(whole.influence.mean())) < 1e-6
    for i in (0, 17, 23):
        change = measured(Sample(torch.cat([x.features, x.features[i : i + 1]])), q).value - whole.value
        assert change == pytest.approx(float(whole.influence[i]) / 4001, rel=0.02, abs=1e-6)


@pytest.mark.parametrize("q", [1.0, 0.5, 2.0])
def test_standard_errors_are_those_of_repeated_draws(q):
    """That of a value covers the mean of the draws in 95 % of them; that of a difference is paired by image."""
    values, errors, differences, paired = [], [], [], []
    for i in range(300):
        x = sample(200, seed=1000 + i)
        one, other = (measured(v, q) for v in (x, Sample(x.features + 0.1)))
        values.append(one.value)
        errors.append(one.se)
        differences.append(other.value - one.value)
        paired.append(float((other.influence - one.influence).std()) / math.sqrt(200))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    covered = np.abs(np.array(values) - np.mean(values)) < 1.96 * np.array(errors)
    assert 0.92 < covered.mean() < 0.98
    assert np.mean(paired) == pytest.approx(np.std(differences), rel=0.15)
    assert np.mean(paired) < 0.5 * np.mean(errors)


def test_at_the_maximum_the_standard_error_is_too_large_rather_than_too_small():
    groups = [torch.eye(5)[torch.randint(5, (200,), generator=torch.Generator().manual_seed(i))] for i in range(300)]
    found = [measured(Sample(x)) for x in groups]
    assert 1.2 < np.mean([m.se for m in found]) / np.std([m.value for m in found]) < 1.7


def test_it_needs_no_features_of_a_reference():
    x = sample(20)
    moments_only = Summary(Moments.of(torch.randn(9, 6, generator=torch.Generator().manual_seed(0))))
    assert vendi().measure(x, moments_only).value == measured(x).value
    assert vendi().moments_suffice
    assert vendi().higher_is_better is None
