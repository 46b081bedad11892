"""The bias-corrected distance: its terms against finite differences, and its mean over draws against the truth."""

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
from designspace.evaluation import frechet as bias
from designspace.evaluation.frechet import Expansion, bias_corrected, frechet
from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Moments
from designspace.report import write
from designspace.sampling.noise import generator

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


def test_bias_is_half_the_second_derivative():
    """The bias is half the mean of the second derivative over images, plus the effect of n - 1 in the covariance."""
    x, reference, eps = normal(60, 6) * 1.2 + 0.3, Moments.of(normal(90, 6, seed=1)), 1e-3
    a, n = Moments.of(x), 60
    value = frechet(a, reference)
    second = [(moved(x, reference, {i: eps}) + moved(x, reference, {i: -eps}) - 2 * value) / eps**2 for i in range(n)]
    gap = float((a.mean - reference.mean).square().sum())
    root = (gap + float(a.cov.trace() + reference.cov.trace()) - value) / 2  # the trace of the root
    expected = (float(np.mean(second)) / 2 + float(a.cov.trace()) - root * (1 + (n - 1) / n) / 2) / n
    expansion = Expansion(x.numpy(), reference)
    assert expansion.value == pytest.approx(value, rel=1e-12)
    assert value - expansion.corrected() == pytest.approx(expected, rel=1e-4)


def test_variance_of_pairs_is_that_of_the_mixed_derivative():
    x, reference, eps = normal(40, 5) * 1.2 + 0.3, Moments.of(normal(90, 5, seed=1)), 3e-4
    mixed = []
    for i in range(40):
        corners = {(a, b): moved(x, reference, {i: a * eps, (i - 1) % 40: b * eps}) for a in (1, -1) for b in (1, -1)}
        mixed.append(sum(a * b * value for (a, b), value in corners.items()) / (4 * eps**2))
    expected = float(np.mean(np.square(mixed))) / (2 * 40**2)
    assert Expansion(x.numpy(), reference).variance_of_pairs() == pytest.approx(expected, rel=1e-4)


@cache
def measured(shift, stretch, times, draws=200):
    """Values, corrected values and standard errors for repeated draws, and the true distance."""
    metric, reference = ds.Metric.get("frechet")(), Sample(torch.empty(0, D))
    reference.__dict__["moments"] = REFERENCE
    found = [
        metric.measure(Sample((stretch * normal(times * D, D, seed=1000 * times + k) + shift) * SD), reference)
        for k in range(draws)
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


def test_the_error_counts_the_pairs_of_images_once_and_the_halves_a_ninth_of_them():
    """se^2 counts the variance V of pairs twice too often; the extrapolated value contains 10 / 9 V."""
    x, reference, se = normal(300, 6) * 1.2 + 0.3, Moments.of(normal(400, 6, seed=1)), 0.3
    without, found = (bias_corrected(x, reference, each)["bias_corrected_se"] ** 2 for each in (0.0, se))
    order = generator("halves", 300).permutation(300)
    pairs = Expansion(x.numpy()[order], reference).variance_of_pairs()
    assert without == pytest.approx(10 / 9 * pairs, rel=1e-9)
    assert found == pytest.approx(se**2 - 2 * pairs + 10 / 9 * pairs, rel=1e-9)


def test_blocks_change_nothing(monkeypatch):
    x, reference = (normal(60, 6) * 1.2 + 0.3).numpy(), Moments.of(normal(90, 6, seed=1))
    whole = Expansion(x, reference).corrected()
    monkeypatch.setattr(bias, "ROWS", 7)
    assert Expansion(x, reference).corrected() == pytest.approx(whole, rel=1e-12)


def test_below_three_images_a_dimension_there_is_none():
    reference = Moments.of(normal(200, 8, seed=1))
    assert bias_corrected(normal(23, 8), reference, 1.0) == {}
    assert set(bias_corrected(normal(24, 8), reference, 1.0)) == {"bias_corrected", "bias_corrected_se"}
    one = Moments.of(normal(200, 1, seed=1))
    assert [bool(bias_corrected(normal(n, 1), one, 1.0)) for n in (2, 3, 4, 5, 6)] == [False] * 4 + [True]


def test_constant_features_add_their_gap_and_nothing_else():
    x, y = normal(90, 6), normal(200, 6, seed=1)
    constant = torch.ones(1, 2, dtype=torch.float64)
    wide = [torch.cat([v, constant.expand(len(v), 2) * size], 1) for v, size in ((x, 3.0), (y, 1.0))]
    found, expected = (bias_corrected(a, Moments.of(b), 1.0) for a, b in (wide, (x, y)))
    assert found["bias_corrected"] == pytest.approx(expected["bias_corrected"] + 8, rel=1e-9)
    assert found["bias_corrected_se"] == pytest.approx(expected["bias_corrected_se"], rel=1e-6)
    point = bias_corrected(torch.ones(20, 4), Moments.of(torch.zeros(20, 4)), 0.0)
    assert point == {"bias_corrected": 4, "bias_corrected_se": 0}


def test_a_reference_of_few_images_has_a_root_of_its_own_form():
    x, y = normal(90, 6), normal(5, 6, seed=1)
    reference = Moments.of(y)
    assert reference.factor is not None
    found, expected = (
        bias_corrected(x, r, 1.0) for r in (reference, Moments(reference.n, reference.mean, reference.cov))
    )
    assert found == pytest.approx(expected, rel=1e-6)


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
