"""Evaluations for equal quality: known curves cross the target where they do, and intervals cover as they say."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from studies import Bench, influence

from designspace.report import Study, merge, write
from designspace.report.evidence.quality import quality
from designspace.report.evidence.targets import NearBest
from designspace.report.figures.quality import equal_quality
from designspace.report.tables import quality as tables

ROOT = Path(__file__).parents[1]
NFE = (5, 7, 11, 19, 35)


def curves(made, values, *, about=None, scale=1.0, denoiser=None, common=10.0):
    """Points at the first NFE of ``NFE``, which share the noise ``common``; the curves by solver."""
    for k, (solver, curve) in enumerate(values.items()):
        for i, value in enumerate(curve):
            scores = influence(0, common) + influence(100 * k + i + 1, scale)
            made.point({"solver": solver, "nfe": NFE[i]}, value, scores, about=about)
    return made.study()


DRAWN = {"drawn": 3.5, "drawn_sd": 0.25}


def test_the_first_nfe_within_the_drawn_reference(bench):
    values = {
        "heun": (80.0, 20.0, 6.0, 3.4, 3.3),
        "dpm": (9.0, 6.0, 3.9, 3.3, 3.4),
        "euler": (30.0, 20.0, 9.0, 7.0, 5.0),
    }
    made = bench(axes=("solver", "nfe"))
    made.about["baseline_axes"] = {"solver": "heun"}
    (found,) = quality(curves(made, values, about=DRAWN, common=2.0), "frechet")
    assert (found.drawn, found.target) == (True, pytest.approx(3.5 + 1.96 * 0.25, rel=1e-4))
    assert {one.config: one.nfe for one in found.reached} == {"heun": 19, "dpm": 11, "euler": None}
    assert {one.config: (one.low, one.high) for one in found.reached} == {
        "heun": (19, 19),
        "dpm": (11, 19),  # 3.9 is not significantly below 3.99
        "euler": (None, None),
    }
    (larger,) = quality(curves(bench(axes=("solver", "nfe")), values, about=DRAWN, common=8.0), "frechet")
    assert [(one.low, one.high) for one in larger.reached] == [(19, None), (11, None), (None, None)]
    assert {one.config: (one.times, one.bound) for one in found.reached} == {
        "heun": (None, ""),
        "dpm": (19 / 11, ""),
        "euler": (None, ""),
    }
    text = (
        "dpm comes within the drawn reference with 11 evaluations (95 % interval [11, 19], 1.7 times fewer than heun)"
    )
    assert tables.sentence(found) == f"{text} and heun with 19; euler above 35 (FD-x)."


def test_three_per_cent_of_the_best_value_if_the_drawn_reference_is_not_reached(bench):
    values = {"heun": (90.0, 70.0, 50.0, 40.0), "dpm": (41.0, 40.5, 40.2, 39.7)}
    made = bench(axes=("solver", "nfe"))
    made.about["baseline_axes"] = {"solver": "heun"}
    (found,) = quality(curves(made, values, about=DRAWN), "frechet")
    assert (found.drawn, found.target) == (False, pytest.approx(1.03 * 39.7))
    heun, dpm = found.reached
    assert (heun.nfe, dpm.nfe) == (19, 7)
    assert (dpm.times, dpm.bound) == (19 / 7, "")
    assert tables.nfe_of(replace(dpm, nfe=5)) == "at most 5"


def test_ratios_of_nfe_that_were_not_reached_are_bounds(bench):
    values = {"heun": (90.0, 70.0, 50.0, 48.0), "dpm": (41.0, 40.5, 40.2, 39.7)}
    made = bench(axes=("solver", "nfe"))
    made.about["baseline_axes"] = {"solver": "heun"}
    (found,) = quality(curves(made, values), "frechet")
    assert [(one.nfe, one.times, one.bound) for one in found.reached] == [(None, None, ""), (7, 19 / 7, "≥")]
    assert "7 evaluations (95 % interval […, 7], ≥ 2.7 times fewer than heun); heun above 19" in tables.sentence(found)


def test_an_end_of_the_interval_beyond_the_measured_nfe_is_open(bench):
    values = {"heun": (41.2, 40.9, 40.9, 40.5), "dpm": (40.9, 40.9, 40.9, 39.9)}
    (found,) = quality(curves(bench(axes=("solver", "nfe")), values, scale=20.0), "frechet")
    assert tables.interval(found.reached[0]) == "[…, …]"


def test_the_upper_end_is_corrected_for_the_number_of_nfe_and_the_lower_end_is_not(bench):
    """The target of 4 has no error here. One-sided, 2.5 % is 1.96 standard errors, and a fifth of it 2.58."""
    made, se = bench(axes=("solver", "nfe")), 0.1
    for solver, of in {"heun": (9, 1.8, -2.2, -2.7, -9), "dpm": (9, 2.2, -2.2, -2.5, -2.65)}.items():
        for nfe, z in zip(NFE, of, strict=True):
            made.point({"solver": solver, "nfe": nfe}, 4 + z * se, se=se, about={"drawn": 4.0, "drawn_sd": 0.0})
    (found,) = quality(made.study(), "frechet")
    assert [(one.low, one.nfe, one.high) for one in found.reached] == [(7, 11, 19), (11, 11, 35)]


def test_more_than_three_per_cent_above_the_lowest_is_corrected_for_the_number_of_other_points(bench):
    """Any of n points may seem the lowest. One-sided, 2.5 % is 1.96 standard errors, and a ninth of it 2.77."""
    se = 0.1
    made, gap = bench(axes=("solver",)), math.hypot(se, 1.03 * se)
    for i, value in enumerate([10.0, 10.3 + 2.4 * gap, 10.3 + 3 * gap, *[20.0] * 7]):
        made.point({"solver": str(i)}, value, se=se)
    study = made.study()
    of_ten, of_two = (NearBest(study, "frechet", study.points[:n]) for n in (10, 2))
    assert [of_ten.missed(point, 0.025) for point in study.points[:4]] == [False, False, True, True]
    assert of_two.missed(study.points[1], 0.025)


def test_errors_that_all_points_share_cancel(bench):
    """With errors of 0.5 that are common to all points, the NFE is certain; with errors of their own, it is not."""
    values = {"dpm": (60.0, 50.0, 41.0, 40.0), "heun": (90.0, 70.0, 60.0, 50.0)}
    made = bench(axes=("solver", "nfe"))
    (found,) = quality(curves(made, values, scale=0.1), "frechet")
    assert (found.reached[0].low, found.reached[0].high) == (11, 11)
    made = bench(axes=("solver", "nfe"))
    (found,) = quality(curves(made, values, scale=10.0, common=0.1), "frechet")
    assert (found.reached[0].nfe, found.reached[0].high) == (11, 19)


def test_models_have_targets_of_their_own():
    """The network cannot come within the drawn reference, which the exact denoiser does."""
    found = quality(Study(ROOT / "reports" / "solver_grid_trained"), "frechet")
    assert [(one.model, one.drawn) for one in found] == [("network digits", False), ("exact denoiser", True)]
    assert [one.config for one in found[1].reached] == ["euler", "heun", "dpmpp_2m"]


def test_the_headline_of_the_demo():
    (found,) = quality(Study(ROOT / "reports" / "solver_grid"), "frechet")
    assert {one.config: one.nfe for one in found.reached} == {"dpmpp_2m": 11, "heun": 19, "euler": 35}


def test_the_headline_of_the_paper_the_sampler_against_that_of_ve():
    for found, nfe in zip(quality(Study(ROOT / "reports" / "from_ddpm_to_edm"), "frechet"), (35, 19), strict=True):
        by = {one.config: one for one in found.reached}
        assert by["as published, design=ve"].nfe is None
        edm = by["+ sigma = t and s = 1, design=ve"]
        assert (edm.nfe, edm.times, edm.bound) == (nfe, 159 / nfe, "≥")  # of the network, and of the exact denoiser


TIMES = 200
"""The number of redrawn studies per truth."""
NOISE = 0.3
"""The standard error of each value, most of which all points share."""
SPREAD = 0.25
"""The standard deviation of the drawn reference, whose true upper end is 4."""


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory):
    """Returns studies of two solvers with values that are drawn from a truth, with the covariance of the influences."""
    names = [(solver, nfe) for solver in ("dpm", "heun") for nfe in NFE]
    made = Bench(tmp_path_factory.mktemp("made"), ["solver", "nfe"])
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((len(names), 40)) + 2 * rng.standard_normal(40)
    scores = (scores - scores.mean(1, keepdims=True)) / scores.std(1, ddof=1, keepdims=True) * NOISE * 40**0.5
    for (solver, nfe), own in zip(names, scores, strict=True):
        made.point({"solver": solver, "nfe": nfe}, 1.0, torch.from_numpy(own), images=40, about={"se": NOISE})
    root = np.linalg.cholesky(np.cov(scores) / 40)
    base = made.study()
    artefacts = {row.id: base.results.artefact(row.id) for row in base.results.by_point().values()}

    def draw(truth, rng):
        values = np.ravel(truth) + root @ rng.standard_normal(len(names))
        of_draws = 4 - 1.96 * SPREAD + SPREAD * rng.standard_normal(8)
        drawn = {"drawn": of_draws.mean(), "drawn_sd": of_draws.std(ddof=1)}
        study = made.study()
        study._artefacts.update(artefacts)
        for entry, value in zip(study.entries, values, strict=True):
            (row,) = entry.rows
            metrics = {"frechet": row.metrics["frechet"].model_copy(update={"value": value, **drawn})}
            object.__setattr__(entry, "rows", (row.model_copy(update={"metrics": metrics}),))
        return study

    return draw


REACH = (30.0, 4.3, 3.6, 3.3, 3.3)
FLAT = 10.0
GAP = 1.03 * FLAT


@pytest.mark.parametrize(
    ("dpm", "heun"),
    [
        (REACH, (30.0, 9.0, 4.05, 3.95, 3.3)),  # close to the drawn reference's upper end of 4
        (REACH, (30.0, 4.05, 4.05, 4.05, 3.9)),  # barely above it at three NFE
        ((30.0, 9.0, 4.02, 4.02, 4.02), (30.0, 9.0, 4.02, 4.02, 4.02)),  # no NFE suffices, but it seems so
        ((30.0, 9.0, 2.0, 2.0, 2.0), (30.0, 9.0, 4.05, 4.05, 4.05)),  # one solver is far better
        ((GAP + 0.02,) * 4 + (FLAT,), (GAP + 0.02,) * 5),  # barely above 3 %; any may seem the best
        ((30.0, GAP - 0.02, *[FLAT] * 3), (GAP - 0.02, *[FLAT] * 4)),  # barely below 3 %
    ],
)
def test_intervals_hold_the_first_nfe_with_a_probability_of_95_per_cent(redrawn, dpm, heun):
    """For each solver, whichever target its study has: the errors of the drawn reference and of the best count."""
    rng = np.random.default_rng(1)
    truth = {"dpm": dpm, "heun": heun}
    held = dict.fromkeys(truth, 0)
    for _ in range(TIMES):
        (found,) = quality(redrawn((dpm, heun), rng), "frechet")
        target = 4.0 if found.drawn else 1.03 * min(*dpm, *heun)
        for one in found.reached:
            enough = [nfe for nfe, value in zip(NFE, truth[one.config], strict=True) if value <= target]
            first = min(enough, default=np.inf)
            low, high = (np.inf if end is None else end for end in (one.low, one.high))
            held[one.config] += low <= first <= high
    assert min(held.values()) / TIMES >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / TIMES)


def test_a_joint_report_may_have_points_with_different_axes(tmp_path):
    studies = [Study(ROOT / "reports" / f"cifar10_jpeg_{name}") for name in ("solvers", "steps")]
    (found,) = quality(merge(studies, tmp_path), "frechet")
    reached = {one.config: one.nfe for one in found.reached}
    assert len(reached) == 13
    assert reached["cifar10_jpeg_solvers, dpmpp_2m"] == 11
    assert reached["cifar10_jpeg_steps, time_steps.rho=3"] is None


def test_a_metric_of_the_sampler_and_an_ablation_without_nfe_have_none(bench):
    assert quality(Study(ROOT / "reports" / "solver_grid_trained"), "endpoint_error") == []
    assert quality(Study(ROOT / "reports" / "sampling_trained"), "frechet") == []
    made = bench(axes=("solver", "nfe"))
    for nfe in (7, 11):  # a single configuration
        made.point({"solver": "heun", "nfe": nfe}, 3.0, se=0.1)
    assert quality(made.study(), "frechet") == []


def test_the_report_has_the_page_the_table_and_the_figure(bench):
    values = {"heun": (80.0, 20.0, 6.0, 3.4), "dpm": (9.0, 6.0, 3.9, 3.3)}
    study = curves(bench(axes=("solver", "nfe")), values, about=DRAWN, common=2.0)
    written = {path.name for path in write(study)}
    assert {"quality.md", "quality.csv", "frechet_quality.png"} <= written
    page = (study.folder / "quality.md").read_text("utf-8")
    assert "| dpm | **11** | \\[11, 19\\] |" in page
    (first, second) = csv.DictReader(io.StringIO((study.folder / "quality.csv").read_text("utf-8")))
    assert (first["configuration"], first["nfe"], second["nfe"]) == ("heun", "19", "11")
    assert "dpm comes within the drawn reference with 11 evaluations (95 % interval [11, 19]," in (
        study.folder / "index.html"
    ).read_text("utf-8")
    names = [label.get_text() for label in equal_quality(study, "frechet").axes[0].get_yticklabels()]
    assert names == ["heun", "dpm"]
