"""Figures against the noise level, and the tables of diagnostics."""

import json
from dataclasses import replace

import pytest
import torch

from designspace.drawing.look import FAINT
from designspace.report import Study, write
from designspace.report.figures.metric import panels
from designspace.report.figures.profiles import metric_vs_sigma, profile_panels
from designspace.report.tables.values import tables
from designspace.results.records import Result
from designspace.results.store import Results

SIGMA = [10.0, 1.0, 0.1]


def study(folder, axes, points):
    """``points``: axes, profile (or None where the metric could not be measured)."""
    results, about = Results(folder), []
    for i, (at, profile) in enumerate(points):
        id = f"{i:016x}"
        about.append({"id": id, "axes": at})
        metric = {"value": 1.0 + i, "se": 0.1, "protocol": "truncation_error", "n": 32}
        metric |= {"profile": {"sigma": SIGMA, "value": profile, "of": "local error, RMS"}}
        results.put_artefact(id, {"influence.truncation_error": torch.linspace(-i - 1, i + 1, 32)})
        row = {"id": id, "axes": at, "seed": 0, "nfe": 10, "images": 500, "features": None}
        metrics = {} if profile is None else {"truncation_error": metric}
        results.append(Result(schema=1, **row, metrics=metrics, trial={}))
    text = {"schema": 1, "name": "x", "question": "?", "axes": axes, "claims": [], "points": about}
    (folder / "ablation.json").write_text(json.dumps(text | {"metrics": ["truncation_error"]}))
    return Study(folder)


def test_a_panel_for_the_lowest_a_middle_and_the_highest_budget(tmp_path):
    points = [({"solver": "heun", "nfe": nfe}, [nfe, 1.0, 0.5]) for nfe in (35, 7, 11, 19, 51)]
    found = profile_panels(study(tmp_path, ["solver", "nfe"], points), "truncation_error")
    assert [panel.note for panel in found] == ["NFE 7", "NFE 19", "NFE 51"]
    assert {panel.label for panel in found} == {"local error, RMS"}
    assert [panel.curves[0].y[0] for panel in found] == [7, 19, 51]


def test_equal_profiles_are_drawn_once_and_equal_panels_too(tmp_path):
    points = [({"solver": s, "nfe": n}, [3.0, 2.0, 1.0]) for s in ("euler", "heun") for n in (7, 11)]
    found = profile_panels(study(tmp_path, ["solver", "nfe"], points), "truncation_error")
    assert len(found) == 1
    assert [profile.name for profile in found[0].curves] == ["euler, heun"]


def test_many_configurations_get_a_panel_for_each_value_of_an_axis(tmp_path):
    points = [
        ({"solver": s, "time_steps.rho": rho, "nfe": n}, [rho + k, 1.0, n])
        for k, s in enumerate(("euler", "heun"))
        for rho in (1, 3, 5, 7, 9)
        for n in (11, 35)
    ]
    found = profile_panels(study(tmp_path, ["solver", "time_steps.rho", "nfe"], points), "truncation_error")
    assert [(panel.title, panel.note) for panel in found] == [("euler", "NFE 35"), ("heun", "NFE 35")]
    assert [profile.name for profile in found[0].curves] == [f"rho={rho}" for rho in (1, 3, 5, 7, 9)]


@pytest.mark.parametrize("broken", [{"sigma": SIGMA}, {"sigma": SIGMA, "value": [1.0]}, {"sigma": 3, "value": 4}])
def test_a_damaged_profile_is_not_drawn(tmp_path, broken):
    made = study(tmp_path, ["solver"], [({"solver": "heun"}, [1.0, 1.0, 1.0])])
    for row in made.entries[0].rows:
        metric = row.metrics["truncation_error"]
        row.metrics["truncation_error"] = metric.model_copy(update={"profile": broken})
    assert profile_panels(made, "truncation_error") == []


def test_the_report_draws_profiles_and_says_what_could_not_be_measured(tmp_path):
    points = [({"solver": s}, p) for s, p in (("euler", [3, 2, 0.0]), ("heun", [1, 2, 3]), ("sa_solver", None))]
    made = study(tmp_path, ["solver"], points)
    names = {path.name for path in write(made)}
    assert "truncation_error_vs_sigma.png" in names
    figure = metric_vs_sigma(made, "truncation_error")
    (axes,) = figure.axes
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if len(line.get_xdata())]
    assert drawn == [(SIGMA[:2], [3, 2]), (SIGMA, [1, 2, 3])]  # no zero on a logarithmic axis
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["euler", "heun"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("local error, RMS", "noise level σ")
    (table,) = tables(made, "truncation_error")
    assert [row[0].text for row in table.rows] == ["euler", "heun"]
    assert table.caption.startswith("truncation_error, n = 32 images, seed 0: value ± standard error")
    assert table.caption.endswith("The metric cannot be measured for sa_solver.")
    assert "paired" not in table.caption


def test_configurations_that_are_the_same_trials_are_one_curve(tmp_path):
    made = study(tmp_path, ["stage", "design"], [({"stage": "a", "design": d}, [1.0, 1.0, 1.0]) for d in ("vp", "ve")])
    (panel,) = panels(made, "truncation_error")
    assert [curve.name for curve in panel.curves] == ["a, design=vp", "a, design=ve"]
    same = [replace(entry, rows=(entry.rows[0].model_copy(update={"id": "same"}),)) for entry in made.entries]
    made.entries[:] = same
    (panel,) = panels(made, "truncation_error")
    assert [curve.name for curve in panel.curves] == ["a, design=vp (same as 1 other)"]


def test_every_curve_has_a_name_or_is_grey_and_counted(tmp_path):
    for count in (4, 12, 20):
        folder = tmp_path / str(count)
        folder.mkdir()
        points = [({"solver": f"a solver of number {i}"}, [1.0 + i, 1.0, 0.5 + i]) for i in range(count)]
        figure = metric_vs_sigma(study(folder, ["solver"], points), "truncation_error")
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        named = [text for text in texts if text.startswith("a solver")]
        assert len(named) >= min(count, 5)
        assert texts[len(named) :] == [f"{count - len(named)} more"][: count > len(named)]
        grey = [line for line in figure.axes[0].lines if line.get_color() == FAINT]
        assert len(grey) == count - len(named)
        colours = {line.get_color() for line in figure.axes[0].lines if line.get_color() != FAINT}
        assert len(colours) == len(named)
        figure.draw_without_rendering()
        assert figure.legends[0].get_window_extent().height <= figure.bbox.height / 4


def test_curves_that_stand_out_have_names(tmp_path):
    points = [({"solver": f"a solver with a long name, {i}"}, [1.0 + i, 1.0, 0.5 + i]) for i in range(20)]
    points[13][1][0] = 1000.0
    figure = metric_vs_sigma(study(tmp_path, ["solver"], points), "truncation_error")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "a solver with a long name, 13" in texts
    assert "a solver with a long name, 0" in texts
