"""The expansion of the distance: its terms against finite differences, and estimates without bias against the truth."""

import csv
import json
import math
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import designspace as ds
from designspace.evaluation import expansion
from designspace.evaluation.expansion import Expansion
from designspace.evaluation.frechet import frechet, influence
from designspace.evaluation.measure import Measured, Sample, Summary, shuffled
from designspace.evaluation.moments import Moments
from designspace.report import write
from designspace.results.uncertainty import standard_error

RECORDED = Path(__file__).parent / "data" / "report" / "recorded"
D = 16
SD = torch.arange(1, D + 1, dtype=torch.float64) ** -0.5
REFERENCE = Moments(10**9, torch.zeros(D), torch.diag(SD**2))


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moved(x, reference, weights):
    """The distance after weight is moved to some images from all others, with the moments of the weighted images."""
    a, total = Moments.of(x), sum(weights.values())
    shift = sum(w * (x[i] - a.mean) for i, w in weights.items())
    cov = (1 - total) * a.cov + sum(w * torch.outer(x[i] - a.mean, x[i] - a.mean) for i, w in weights.items())
    return frechet(Moments(a.n, a.mean + shift, cov - torch.outer(shift, shift)), reference)


def measure(x, reference):
    """The metric, with a reference of which the images or only the moments are known."""
    of = Summary(reference) if isinstance(reference, Moments) else Sample(reference)
    return ds.Metric.get("frechet")().measure(Sample(x), of)


def sides(x, y):
    """Both sides of the expansion, with the images of either and the moments of the other."""
    e = Expansion(Moments.of(x), Moments.of(y))
    return (e.generated(x), x, Moments.of(y)), (e.reference(y), y, Moments.of(x))


@pytest.mark.parametrize("which", [0, 1])
def test_bias_is_half_the_second_derivative(which):
    """The bias is half the mean of the second derivative over images, plus the effect of n - 1 in the covariance."""
    side, x, other = sides(normal(60, 6) * 1.2 + 0.3, normal(90, 6, seed=1))[which]
    a, n, eps = Moments.of(x), len(x), 1e-3
    value = frechet(a, other)
    second = [(moved(x, other, {i: eps}) + moved(x, other, {i: -eps}) - 2 * value) / eps**2 for i in range(n)]
    gap = float((a.mean - other.mean).square().sum())
    root = (gap + float(a.cov.trace() + other.cov.trace()) - value) / 2  # the trace of the root
    expected = (float(np.mean(second)) / 2 + float(a.cov.trace()) - root * (1 + (n - 1) / n) / 2) / n
    assert side.bias() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("which", [0, 1])
def test_influences_are_derivatives(which):
    """Those of pairs are the mixed derivatives by the weights of an image and its predecessor in the shuffled order."""
    side, x, other = sides(normal(40, 5) * 1.2 + 0.3, normal(50, 5, seed=1))[which]
    order, eps = shuffled(len(x)), 3e-4
    first, pairs = side.second_order(len(x))
    np.testing.assert_allclose(first - first.mean(), influence(x, other)[order], atol=1e-9)
    mixed = []
    for i, j in zip(order, np.roll(order, 1), strict=True):
        corners = {(a, b): moved(x, other, {i: a * eps, j: b * eps}) for a in (1, -1) for b in (1, -1)}
        mixed.append(sum(a * b * value for (a, b), value in corners.items()) / (4 * eps**2))
    np.testing.assert_allclose(pairs, mixed, rtol=1e-3, atol=1e-3)
    some, few = side.second_order(7)
    np.testing.assert_allclose(np.concatenate([some, few]), np.concatenate([first[:7], pairs[:7]]), rtol=1e-12)


def test_skew_is_that_of_all_pairs():
    """Against the double sum over pairs, for a difference of means alone, whose second-order influence is 2 x y."""
    x = normal(50, 1) + 0.4
    side = Expansion(Moments.of(x), Moments.of(normal(10**5, 1, seed=1) * float(x.std()))).generated(x)
    a = influence(x, side.moments).numpy() + 0.8 * (x[:, 0] - x.mean()).numpy()
    u = side._whitened(x)[1]
    second = 2 * side.s * u @ u.T + side.V * np.outer(u**2 - 1, u**2 - 1)
    z = 1.959963984540054
    cubes, slope = np.mean(a**3), a @ second @ a / 50**2
    expected = ((2 * z**2 + 1) / 6 * cubes + (z**2 + 1) / 2 * slope) / (50 * np.mean(a**2))
    assert side.skew(a) == pytest.approx(expected, rel=1e-9)


@cache
def measured(shift, stretch, times, draws=200):
    """Values, corrected values and standard errors for repeated draws, and the true distance."""
    found = [
        measure((stretch * normal(times * D, D, seed=1000 * times + k) + shift) * SD, REFERENCE) for k in range(draws)
    ]
    corrected = [(m.extra["bias_corrected"], m.extra["bias_corrected_se"]) for m in found]
    truth = (shift**2 + (stretch - 1) ** 2) * float(SD.square().sum())
    return torch.tensor([m.value for m in found]), *torch.tensor(corrected).T, truth


@pytest.mark.parametrize("times", [3, 10])
@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 1.0), (0.1, 1.05), (0.5, 1.3)])
def test_the_mean_is_the_true_distance(shift, stretch, times):
    values, corrected, _, truth = measured(shift, stretch, times)
    error = float(corrected.std()) / math.sqrt(len(values))
    assert float(corrected.mean()) == pytest.approx(truth, abs=4 * error)
    assert float(values.mean()) - truth > 10 * error


@pytest.mark.parametrize(("shift", "stretch"), [(0.1, 1.05), (0.5, 1.3)])
def test_its_standard_error_is_that_of_repeated_draws(shift, stretch):
    _, corrected, errors, _ = measured(shift, stretch, 10)
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(corrected.std()), rel=0.2)


def test_errors_count_pairs_of_images_once_and_halves_a_ninth_of_them():
    x, reference = normal(300, 6) * 1.2 + 0.3, Moments.of(normal(400, 6, seed=1))
    found = measure(x, reference)
    pairs = float(found.pairs.double().square().mean()) / (2 * 300**2)
    first = float(found.influence.double().var()) / 300
    assert found.se**2 == pytest.approx(first - pairs, rel=1e-6)
    assert found.extra["bias_corrected_se"] ** 2 == pytest.approx(first - pairs + pairs / 9, rel=1e-6)
    assert found.se == pytest.approx(standard_error(found.influence.numpy(), found.pairs.numpy()), rel=1e-6)


def test_blocks_change_nothing(monkeypatch):
    x, reference = normal(60, 6) * 1.2 + 0.3, normal(90, 6, seed=1)
    whole = measure(x, reference)
    monkeypatch.setattr(expansion, "ROWS", 7)
    parts = measure(x, reference)
    assert parts.extra == pytest.approx(whole.extra, rel=1e-9)
    torch.testing.assert_close((parts.influence, parts.pairs), (whole.influence, whole.pairs))


def test_below_three_images_a_dimension_there_is_none():
    reference = normal(200, 8, seed=1)
    few, enough = (measure(normal(n, 8), reference) for n in (23, 24))
    assert (few.extra, few.pairs) == ({}, None)
    assert {"bias_corrected", "bias_corrected_se", "skew", "both_corrected", "both_corrected_se"} <= set(enough.extra)
    assert "both_corrected" not in measure(normal(24, 8), reference[:23]).extra
    assert "both_corrected" not in measure(normal(24, 8), Moments.of(reference)).extra
    one = normal(200, 1, seed=1)
    assert [bool(measure(normal(n, 1), one).extra) for n in (2, 3, 4, 5, 6)] == [False] * 4 + [True]


def test_constant_features_add_their_gap_and_nothing_else():
    x, y = normal(90, 6), normal(200, 6, seed=1)
    constant = torch.ones(1, 2, dtype=torch.float64)
    wide = [torch.cat([v, constant.expand(len(v), 2) * size], 1) for v, size in ((x, 3.0), (y, 1.0))]
    found, expected = (measure(*pair).extra for pair in (wide, (x, y)))
    for name in ("bias_corrected", "both_corrected"):
        assert found[name] == pytest.approx(expected[name] + 8, rel=1e-9)
        assert found[f"{name}_se"] == pytest.approx(expected[f"{name}_se"], rel=1e-6)
    point = measure(torch.ones(20, 4), Moments.of(torch.zeros(20, 4)))
    assert point.extra == {"bias_corrected": 4, "bias_corrected_se": 0, "skew": 0}


def test_a_reference_of_few_images_has_a_root_of_its_own_form():
    x, y = normal(90, 6), normal(5, 6, seed=1)
    reference = Moments.of(y)
    assert reference.factor is not None
    found, expected = (measure(x, r).extra for r in (reference, Moments(reference.n, reference.mean, reference.cov)))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "raw", "one"), [(320, 320, 0.16, 0.082), (640, 1280, 0.0596, 0.0201)])
@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 1.0), (0.3, 1.2)])
def test_the_bias_of_both_samples_is_removed(n, m, raw, one, shift, stretch):
    """Two disjoint samples: the value, without the bias of one side, and without that of both."""
    d, draws = 32, 100
    sd = torch.arange(1, d + 1, dtype=torch.float64) ** -0.5
    found = []
    for k in range(draws):
        x, y = normal(n + m, d, seed=k).split([n, m])
        measured = measure((stretch * x + shift) * sd, y * sd)
        extra = measured.extra
        found.append((measured.value, extra["bias_corrected"], extra["both_corrected"], extra["both_corrected_se"]))
    value, bias, both, se = torch.tensor(found).T
    truth = (shift**2 + (stretch - 1) ** 2) * float(sd.square().sum())
    error = float(both.std()) / math.sqrt(draws)
    assert float(both.mean()) == pytest.approx(truth, abs=3 * error)
    assert float(se.square().mean().sqrt()) == pytest.approx(float(both.std()), rel=0.3)
    if truth == 0:
        assert float(value.mean()) == pytest.approx(raw, rel=0.05)
        assert float(bias.mean()) == pytest.approx(one, rel=0.1)


def test_the_moments_of_the_halves_of_a_reference_are_computed_once(monkeypatch):
    reference = Sample(normal(90, 6, seed=1))
    metric = ds.Metric.get("frechet")()
    first = metric.measure(Sample(normal(60, 6)), reference)
    (halves,) = reference.kept.values()
    again = metric.measure(Sample(normal(60, 6)), reference)
    assert next(iter(reference.kept.values())) is halves
    assert again.extra == first.extra


def test_pairs_survive_storage():
    found = measure(normal(60, 6), Moments.of(normal(90, 6, seed=1)))
    again = Measured.of(found.tensors())
    assert torch.equal(again.pairs, found.pairs)
    assert torch.equal(again.influence, found.influence)
    assert again.extra == found.extra


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_reports_show_it_beside_the_value_where_it_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(RECORDED, tmp_path / "recorded"))
    write(folder)
    assert "without bias (" not in (folder / "table.md").read_text()
    assert "bias_corrected" not in (folder / "table.csv").read_text()
    lines = (folder / "results.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines[:6]]
    chosen = next(row for row in rows if row["axes"] == {"solver": "heun", "nfe": 11})
    chosen["metrics"]["frechet"] |= {"bias_corrected": 12.345, "bias_corrected_se": 0.678}
    (folder / "results.jsonl").write_text("\n".join([*map(json.dumps, rows), *lines[6:]]) + "\n")
    write(folder)
    page = (folder / "table.md").read_text()
    table = page[page.index("without bias (") :].splitlines()
    assert [cell.strip() for cell in table[2].strip("|").split("|")] == ["heun", "12.35 ± 0.68"]
    with (folder / "table.csv").open() as file:
        found = {
            row["id"]: (row["frechet_bias_corrected"], row["frechet_bias_corrected_se"]) for row in csv.DictReader(file)
        }
    assert found.pop(chosen["id"]) == ("12.345", "0.678")
    assert set(found.values()) == {("", "")}
