"""Precision, recall, density, coverage and copies: against other programs, closed forms and repeated draws."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import designspace as ds
from designspace.evaluation import manifold, neighbours, overlap_of_draws
from designspace.evaluation.evaluate import drawn, floor
from designspace.evaluation.measure import Sample

RECORDED = json.loads((Path(__file__).parent / "data" / "neighbours.json").read_text())["cases"]
FOUR = ("precision", "recall", "density", "coverage")


def metric(name, **fields):
    return ds.Metric.get(name)(**fields)


def sample(n, d=4, seed=0, shift=0.0, scale=1.0):
    return Sample(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + shift)


def without(x, i):
    return Sample(torch.cat([x.features[:i], x.features[i + 1 :]]))


@pytest.fixture(scope="module")
def draws():
    """Values, standard errors and paired standard errors of two trials on the same latents and reference."""
    reference, n, found = sample(300, seed=9999), 150, {}
    for seed in range(100):
        x = sample(n, seed=seed, shift=0.2)
        y = Sample(x.features * 1.1)
        for name in (*FOUR, "nearest", "memorised"):
            a, b = (metric(name).measure(of, reference) for of in (x, y))
            paired = float((a.influence - b.influence).std()) / math.sqrt(n)
            found.setdefault(name, []).append((a.value, a.se, a.value - b.value, paired))
    return {name: np.array(rows).T for name, rows in found.items()}


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: f"seed {case['seed']}")
def test_numbers_are_those_of_torch_fidelity_and_prdc(case):
    draw = np.random.RandomState(case["seed"])
    x = (draw.randn(case["n"], case["d"]) * case["scale"] + case["shift"]).astype(np.float32)
    y = draw.randn(case["m"], case["d"]).astype(np.float32)
    x, y = Sample(torch.from_numpy(x)), Sample(torch.from_numpy(y))
    for k in (3, 5):
        expected = case[f"k = {k}"]
        found = {name: metric(name, k=k).measure(x, y).value for name in FOUR}
        assert found == pytest.approx(expected["prdc"], abs=1e-12)
        assert {name: found[name] for name in FOUR[:2]} == pytest.approx(expected["torch-fidelity"], abs=1e-7)
    for name, value in case["torch-fidelity"].items():
        assert metric(name).measure(x, y).value == pytest.approx(value, rel=1e-8)


def test_equal_distributions_have_the_published_expectations():
    """Density 1, and coverage as in Naeem et al. (2020), Section 3.3, whatever the distribution."""
    m, k, each = 60, 5, {"density": [], "coverage": []}
    for seed in range(200):
        x, y = sample(m, seed=seed), sample(m, seed=5000 + seed)
        for name, values in each.items():
            values.append(metric(name, k=k).measure(x, y).value)
    none = math.prod((m - i) / (2 * m - i) for i in range(1, k + 1))
    for name, expected in (("density", 1), ("coverage", 1 - none)):
        se = np.std(each[name]) / math.sqrt(len(each[name]))
        assert np.mean(each[name]) == pytest.approx(expected, abs=3 * se)
        assert 3 * se < 0.04


def of_prdc(x, y, k):
    """The four metrics as the package prdc computes them: an image on the surface of a ball lies outside of it."""
    reach_y, reach_x = (np.sort(np.linalg.norm(of[:, None] - of, axis=2))[:, k] for of in (y, x))
    apart = np.linalg.norm(y[:, None] - x, axis=2)
    inside = apart < reach_y[:, None]
    found = (inside.any(0).mean(), (apart < reach_x).any(1).mean(), inside.sum(0).mean() / k, inside.any(1).mean())
    return dict(zip(FOUR, found, strict=True))


TIES = [
    ("on a ball", [[0.0], [2.0], [5.0], [6.0]], [[-2.0], [20.0]], (0.5, 1, 0.5, 0.25), (0, 1, 0, 0)),
    ("copies", [[0.0], [2.0], [5.0], [6.0]], [[0.0], [2.0], [5.0], [6.0]], (1, 1, 2, 1), (1, 1, 1, 1)),
    ("copies in the reference", [[0.0], [0.0], [5.0], [8.0]], [[0.0], [0.5]], (0.5, 0.5, 1, 0.5), (0, 0.5, 0, 0)),
]


@pytest.mark.parametrize(("y", "x", "expected", "in_prdc"), [case[1:] for case in TIES], ids=[case[0] for case in TIES])
def test_an_image_on_the_surface_of_a_ball_lies_inside_it_unlike_in_prdc(y, x, expected, in_prdc):
    """Small integers, for which distances are exact, and k = 1."""
    y, x = np.array(y), np.array(x)
    assert of_prdc(x, y, 1) == dict(zip(FOUR, in_prdc, strict=True))
    x, y = (Sample(torch.from_numpy(of).float()) for of in (x, y))
    found = {name: metric(name, k=1).measure(x, y).value for name in FOUR}
    assert found == dict(zip(FOUR, expected, strict=True))


def test_copies_of_the_reference_are_reported():
    reference = sample(200)
    found = {name: metric(name).measure(Sample(reference.features.flip(0)), reference) for name in (*FOUR, "memorised")}
    assert {name: m.value for name, m in found.items()} == pytest.approx(
        {"precision": 1, "recall": 1, "density": 6 / 5, "coverage": 1, "memorised": 1}
    )
    near = metric("nearest").measure(reference, Sample(reference.features.clone()))
    assert (near.value, near.extra["median"]) == (0, 0)
    assert near.extra["among_reference"] > 0.1


def test_copies_are_told_where_the_reference_repeats_itself_and_lies_far_from_0():
    reference = Sample(torch.cat([sample(50).features] * 5) + 100)
    for name in (*FOUR, "memorised"):
        assert metric(name).measure(Sample(reference.features[:50].clone()), reference).value >= 1


def test_memorised_by_hand():
    reference = Sample(torch.tensor([[0.0], [4.0], [10.0]]))
    x = Sample(torch.tensor([[0.9], [1.1], [4.0], [7.0], [-8.0]]))  # ratios 0.29, 0.38, 0, 1, 0.67
    assert metric("memorised").measure(x, reference).value == pytest.approx(2 / 5)
    assert metric("memorised", ratio=0.5).measure(x, reference).value == pytest.approx(3 / 5)
    near = metric("nearest").measure(x, reference)
    assert near.value == pytest.approx((0.9 + 1.1 + 0 + 3 + 8) / 5)
    assert near.extra == pytest.approx({"median": 1.1, "among_reference": (4 + 4 + 6) / 3})


@pytest.mark.parametrize("name", ["precision", "density", "nearest", "memorised"])
def test_standard_errors_of_means_are_those_of_repeated_draws(name, draws):
    values, errors, gaps, paired = draws[name]
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.2)
    assert math.sqrt(np.mean(paired**2)) == pytest.approx(gaps.std(), rel=0.2)


@pytest.mark.parametrize("name", ["recall", "coverage"])
def test_standard_errors_by_the_jackknife_are_cautious(name, draws):
    values, errors, gaps, paired = draws[name]
    assert 1 < math.sqrt(np.mean(errors**2)) / values.std() < 2.5
    assert 1 < math.sqrt(np.mean(paired**2)) / gaps.std() < 3.5


@pytest.mark.parametrize("name", ["recall", "coverage"])
@pytest.mark.parametrize(("n", "m", "d", "k"), [(40, 50, 2, 3), (60, 30, 3, 1), (25, 60, 4, 5), (30, 30, 2, 7)])
def test_influence_is_what_leaving_the_image_out_changes(name, n, m, d, k, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 16)
    x, y, of = sample(n, d, seed=k, shift=0.4, scale=0.8), sample(m, d, seed=99), metric(name, k=k)
    measured = of.measure(x, y)
    left = torch.tensor([of.measure(without(x, i), y).value for i in range(n)], dtype=torch.float64)
    expected = (n - 1) * (left.mean() - left)
    assert expected.abs().max() > 0
    torch.testing.assert_close(measured.influence.double(), expected, rtol=0, atol=1e-5)


def test_distances_are_shared_by_metrics(monkeypatch):
    x, y, seen = sample(30), sample(40, seed=1), []
    monkeypatch.setattr(neighbours, "_search", lambda *of: seen.append(of) or search(*of))
    for name in FOUR:
        metric(name).measure(x, y)
    assert len(seen) == 2  # among the reference and among the generated images
    metric("precision").measure(sample(30, seed=2), y)
    assert len(seen) == 3


search = neighbours._search


def test_the_reference_against_itself():
    reference = sample(120)
    value, size = floor(metric("precision"), reference, 1000)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    one, other = (Sample(reference.features[half]) for half in (order[:60], order[60:]))
    assert size == 60
    assert value == pytest.approx(metric("precision").measure(one, other).value, abs=0.15)
    assert drawn(metric("precision"), reference, 200) == (1, 0)
    assert drawn(metric("memorised"), reference, 200) == (1, 0)
    mean, sd = drawn(metric("coverage"), reference, 60)
    assert 0.8 < mean < 1
    assert 0 < sd < 0.1


@pytest.mark.parametrize("name", FOUR)
def test_wrong_input_is_named(name):
    of = metric(name, k=4)
    assert of.least == 5
    with pytest.raises(ValueError, match="k = 4 nearest neighbours need at least 5 images per set, not 4"):
        of.measure(sample(4), sample(9))
    with pytest.raises(ValueError, match="k = 4 nearest neighbours need at least 5 images per set, not 3"):
        of.measure(sample(9), sample(3))
    with pytest.raises(ValueError, match="all 9 images of the reference have the same features"):
        of.measure(sample(9), Sample(torch.ones(9, 4)))
    with pytest.raises(ValueError, match="features of 4 and of 3 dimensions"):
        of.measure(sample(9), sample(9, d=3))
    with pytest.raises(ValueError, match="9 of 9 images have features that are not finite"):
        of.measure(Sample(torch.full((9, 4), math.nan)), sample(9))
    with pytest.raises(
        ValueError, match=r"of 9 images cannot be split into halves for metric \w+\(k=4\): it needs at least 10"
    ):
        floor(of, sample(9), 100)


@pytest.mark.parametrize(("k", "n", "m"), [(3, 5, 4), (4, 5, 5), (4, 9, 5), (5, 6, 9), (2, 3, 3)])
def test_as_few_images_as_there_may_be(k, n, m):
    """The smallest allowed sets, against a direct count over all distances."""
    x, y = sample(n, seed=k, shift=0.5), sample(m, seed=1)
    apart, radii = torch.cdist(x.features.double(), y.features.double()), []
    for of in (x, y):
        radii.append(torch.cdist(of.features.double(), of.features.double()).sort(1).values[:, k])
    in_reference, in_generated = apart <= radii[1], apart <= radii[0][:, None]
    expected = {
        "precision": float(in_reference.any(1).double().mean()),
        "recall": float(in_generated.any(0).double().mean()),
        "density": float(in_reference.sum()) / (k * n),
        "coverage": float(in_reference.any(0).double().mean()),
    }
    assert {name: metric(name, k=k).measure(x, y).value for name in FOUR} == pytest.approx(expected)


@pytest.mark.parametrize("name", ["nearest", "memorised"])
def test_a_reference_of_one_image_has_no_neighbours(name):
    with pytest.raises(ValueError, match=r"nearest neighbours need at least \d images, not 1"):
        metric(name).measure(sample(9), sample(1))


def test_collapsed_images_are_no_error():
    x = Sample(torch.zeros(20, 4))
    assert metric("recall").measure(x, sample(50)).value == 0
    assert metric("precision").measure(x, sample(50)).value == 1  # in the middle of all of them


def with_float64(x, y):
    """Neighbours and counts by distances from differences in float64, for all pairs at once."""
    x, y = x.double(), y.double()
    own, among, between = (((a[:, None] - b) ** 2).sum(2) for a, b in ((x, x), (y, y), (x, y)))
    for same in (own, among):
        same.fill_diagonal_(math.inf)
    radii = {k: (own.sort(1).values[:, k - 1], among.sort(1).values[:, k - 1]) for k in (3, 5)}
    rounded = [1e-12 * of.square().sum(1) for of in (x, y)]
    inside = {k: between <= of_y + rounded[1] for k, (_, of_y) in radii.items()}
    recalled = {k: between <= (of_x + rounded[0])[:, None] for k, (of_x, _) in radii.items()}
    return own.sort(1).values[:, :6], inside, recalled


@pytest.mark.parametrize("case", ["far from 0", "copies", "one outlier", "nearly equal"])
def test_decisions_in_float32_are_those_of_float64(case, monkeypatch):
    """In blocks smaller than the sets, where distances of float32 alone would decide wrongly."""
    monkeypatch.setattr(neighbours, "BLOCK", 64)
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 12, generator=draw) for n in (150, 250))
    if case == "far from 0":
        x, y = x + 1000, y + 1000
    elif case == "copies":
        x[:60], x[60:100], y[100:150] = y[:60], y[0], y[1]
    elif case == "one outlier":
        y[7] *= 1e6
    else:
        x, y = 1 + 1e-5 * x, 1 + 1e-5 * y
    nearest_squares, inside, recalled = with_float64(x, y)
    a, b = Sample(x), Sample(y)
    found = neighbours.nearest(a, a, 5)
    assert torch.from_numpy(found.squares).allclose(nearest_squares, rtol=1e-9, atol=0)
    assert neighbours.nearest(Sample(x), Sample(y), 1).index.shape == (150, 6)
    for k in (3, 5):
        counted = manifold.overlap(a, b, k)
        assert counted.inside.tolist() == inside[k].sum(1).tolist()
        assert counted.covered == int(inside[k].any(0).sum())
        assert counted.recalled == int(recalled[k].any(0).sum())


def test_float32_alone_leaves_doubts_where_distances_are_nearly_equal():
    """So that the search in float64 is needed, and used."""
    x = 1 + 1e-6 * torch.randn(100, 12, generator=torch.Generator().manual_seed(0))
    copies = x[torch.arange(100) % 3]
    search = neighbours._Search(copies, copies, same=True)
    sure = {dtype: search.find(torch.arange(100), 3, dtype)[2] for dtype in (torch.float32, torch.float64)}
    assert not sure[torch.float32].any()


@pytest.mark.parametrize("name", [*FOUR, "nearest", "memorised"])
def test_draws_from_the_reference_have_the_values_of_any_images(name):
    y = sample(60)
    draws = [np.random.default_rng(seed).integers(60, size=40) for seed in range(3)]
    expected = [metric(name).measure(Sample(y.features[draw]), Sample(y.features)).value for draw in draws]
    assert metric(name).drawn(y, draws) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("m", "n", "drawn"), [(60, 90, 12), (200, 60, 12), (200, 60, 2)])
def test_draws_are_counted_from_neighbours_and_beyond_them(m, n, drawn, monkeypatch):
    """With so few neighbours that some balls are larger, and with copies of all images in the draws."""
    monkeypatch.setattr(overlap_of_draws, "DRAWN", drawn)
    y = sample(m)
    draws = [np.random.default_rng(seed).integers(m, size=n) for seed in range(2)]
    found = overlap_of_draws.overlap_of_draws(y, draws, 3)
    expected = [manifold.overlap(Sample(y.features[draw]), Sample(y.features), 3) for draw in draws]
    assert [(o.inside, o.covered, o.recalled) for o in found] == [
        (int(o.inside.sum()), o.covered, o.recalled) for o in expected
    ]
