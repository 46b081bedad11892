"""Metrics where higher is better, or where neither direction is, from a run on the digits to its tables."""

import json

import pytest
from pipeline import write_spec
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.report import Study
from designspace.report.evidence.differences import rank
from designspace.report.evidence.verdicts import verdicts
from designspace.report.figures.curves import metric_vs_nfe
from designspace.report.figures.metric import panels, y_scale
from designspace.report.tables.values import tables
from designspace.results.records import Result

METRICS = ["frechet", "fid_infinity", "precision", "recall", "density", "coverage", "nearest", "memorised"]
FINE, COARSE = ({"time_steps.sigma_min": low, "nfe": 35} for low in (0.002, 2.0))
CLAIM = {"say": "Averages are no copies.", "expect": {"less": [COARSE, FINE], "metric": "memorised"}}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("direction")
    changes = {"data": "digits", "denoiser": "exact", "claims": [CLAIM], "components": []}
    changes |= {"grid": {"time_steps.sigma_min": [0.002, 2.0], "nfe": [5, 35]}}
    changes |= {"evaluate": {"images": 120, "detector": "pixels", "metrics": METRICS}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
        ds.run(ds.load(write_spec(folder, **changes)), out=folder)
    return Study(folder / "small")


def of(study, axes, metric):
    return next(entry for entry in study.entries if entry.axes == axes).about(metric)


@pytest.mark.filterwarnings("ignore:.*fewer than 10 x")
def test_the_exact_denoiser_gives_its_data_back(study):
    assert of(study, FINE, "memorised").value == 1
    assert of(study, FINE, "precision").value == 1
    near = of(study, FINE, "nearest")
    assert near.value < near.among_reference / 10
    assert of(study, COARSE, "nearest").value > near.value
    assert of(study, FINE, "memorised").floor < 0.2
    assert [getattr(of(study, FINE, "memorised"), key) for key in ("drawn", "drawn_sd")] == [1, 0]
    assert verdicts(study)[0].outcome == "holds"


def test_rows_say_what_is_better(study):
    found = {metric: of(study, FINE, metric).higher_is_better for metric in METRICS}
    expected = dict.fromkeys(METRICS, True) | {"frechet": False, "fid_infinity": False}
    assert found == expected | {"nearest": None, "memorised": None}
    assert of(study, FINE, "fid_infinity").protocol == "FD_INFINITY-pixels"
    assert of(study, FINE, "fid_infinity").raw == pytest.approx(of(study, FINE, "frechet").value, rel=1e-6)


def test_the_best_is_the_highest_where_that_is_better(study):
    for metric, best in (("precision", max), ("coverage", max), ("frechet", min)):
        assert rank(study, study.entries, metric).best[0] is best(study.entries, key=lambda e: e.value(metric))
    (table,) = tables(study, "coverage")
    assert (
        "higher is better. Drawn reference (n images drawn from the reference and scored against it): 0."
        in table.caption
    )
    assert "Bold: the highest of each column" in table.caption
    assert [row[1].best for row in table.rows] == [
        entry in rank(study, [e for e in study.entries if e.axes["nfe"] == 5], "coverage").best
        for entry in study.entries
        if entry.axes["nfe"] == 5
    ]


def test_nothing_is_best_where_neither_way_is(study):
    (table,) = tables(study, "memorised")
    assert "neither lower nor higher is better. Drawn reference" in table.caption
    assert "Bold" not in table.caption
    assert not any(cell.best for row in table.rows for cell in row)


@pytest.mark.parametrize(
    ("metric", "said"),
    [("precision", "; higher is better"), ("nearest", "; neither lower nor higher"), ("frechet", "; lower is better")],
)
def test_the_command_compare_says_the_same(study, metric, said):
    done = CliRunner().invoke(app, ["compare", str(study.folder), "--metric", metric])
    assert done.exit_code == 0
    assert said in " ".join(done.stdout.split())


def test_shares_have_a_linear_axis(study):
    for metric in ("precision", "memorised"):
        (panel,) = panels(study, metric)
        scale = y_scale([panel])
        assert scale.threshold == float("inf")
        assert all(scale.shows(value) for value in panel.values)
        (axes,) = metric_vs_nfe(study, metric).axes
        assert axes.get_yscale() == "linear"


def test_too_few_images_are_named_at_the_line(tmp_path):
    evaluate = {"images": 15, "detector": "stand_in_detector", "metrics": ["frechet", "fid_infinity"]}
    with pytest.raises(
        ds.SpecError, match=r"small.yaml:\d+:\d+: evaluate.*metric fid_infinity needs at least 20 images"
    ):
        ds.load(write_spec(tmp_path, evaluate=evaluate))


def test_lower_is_better_in_results_of_earlier_versions(study):
    lines = [json.loads(line) for line in (study.folder / "results.jsonl").read_text().splitlines()]
    for row in lines:
        del row["metrics"]["frechet"]["higher_is_better"]
    entry = study.entries[0]
    older = type(entry)(entry.axes, (Result.model_validate(lines[0]),))
    assert older.higher_is_better("frechet") is False
    assert older.higher_is_better("precision") is True
