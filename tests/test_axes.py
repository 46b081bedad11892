"""Figures of ``ds.plots`` in axes of the user's own."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import designspace as ds

REPORTS = Path(__file__).parents[1] / "reports"
DRAWN = [
    ("metric_vs_nfe", "solver_grid", {}),
    ("metric_by_row", "solver_grid", {}),
    ("equal_quality", "solver_grid", {}),
    ("main_effects", "solver_grid", {}),
    ("pareto", "solver_grid", {}),
    ("metric_vs_axis", "time_steps_rho", {"axis": "time_steps.rho"}),
    ("heat_map", "heun_alpha", {}),
    ("metric_vs_sigma", "time_steps", {"metric": "truncation_error"}),
    *((name, "toy_1d", {}) for name in ("walks", "backward", "flow", "warps", "steps", "paths", "between")),
]


def lines(axes):
    return [line.get_xydata() for line in axes.lines]


def panels(figure):
    """The axes that show something, without a second one of the same panel, such as that of densities."""
    shown = [axes for axes in figure.axes if lines(axes) or axes.images]
    return list({axes.get_subplotspec(): axes for axes in reversed(shown)}.values())[::-1]


@pytest.mark.parametrize(("name", "report", "how"), DRAWN)
def test_axes_of_the_user_show_what_the_own_figure_shows(name, report, how):
    draw = getattr(ds.plots, name)
    alone = draw(REPORTS / report, **how)
    shown = panels(alone)
    mine = Figure(figsize=(4 * len(shown), 3), layout="constrained")
    own = np.array(mine.subplots(1, len(shown)))
    assert draw(REPORTS / report, **how, ax=own if len(shown) > 1 else own[()]) is mine
    for a, b in zip(shown, own.flat, strict=True):
        assert len(lines(a)) == len(lines(b))
        for one, other in zip(lines(a), lines(b), strict=True):
            np.testing.assert_allclose(one, other, equal_nan=True)
        assert len(a.images) == len(b.images)
        assert len(a.collections) == len(b.collections)
        assert a.get_yscale() == b.get_yscale()
    mine.canvas.draw()


def test_names_of_curves_are_in_a_legend_in_the_axes():
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    ds.plots.metric_vs_nfe(REPORTS / "solver_grid", ax=axes)
    assert {text.get_text() for text in axes.get_legend().get_texts()} >= {"euler", "heun", "dpmpp_2m"}
    assert figure.legends == []
    assert axes.get_xlabel() == "NFE (denoiser evaluations per image)"


def test_a_figure_of_designs_in_own_axes():
    alone = ds.plots.rows(["edm", "vp"], "schedule")
    figure = Figure()
    own = figure.subplots(2)
    assert ds.plots.rows(["edm", "vp"], "schedule", ax=list(own)) is figure
    for a, b in zip(alone.axes, own, strict=True):
        for one, other in zip(lines(a), lines(b), strict=True):
            np.testing.assert_array_equal(one, other)


def test_sample_images_are_drawn_as_one_image():
    figure = Figure()
    axes = figure.subplots()
    assert ds.plots.samples(REPORTS / "solver_grid", {"nfe": 11}, ax=axes) is figure
    (image,) = axes.images
    pixels = np.asarray(image.get_array())
    alone = ds.plots.samples(REPORTS / "solver_grid", {"nfe": 11})
    assert pixels.shape[:2] == (round(alone.get_figheight() * alone.dpi), round(alone.get_figwidth() * alone.dpi))
    assert {0, 255} <= set(np.unique(pixels))
    assert not axes.axison


def test_too_few_or_too_many_axes_are_refused():
    two = Figure().subplots(1, 2)
    with pytest.raises(ValueError, match=r"ax: the figure has one panel, so that it needs 1 axes, not 2"):
        ds.plots.metric_vs_nfe(REPORTS / "solver_grid", ax=two)
    with pytest.raises(ValueError, match=r"ax: the figure has 5 panels, so that it needs 5 axes, not 1"):
        ds.plots.between(REPORTS / "toy_1d", ax=two[0])
    with pytest.raises(TypeError, match="ax: should be matplotlib axes or a sequence of them, not Figure"):
        ds.plots.metric_vs_nfe(REPORTS / "solver_grid", ax=Figure())
    assert len(ds.plots.metric_vs_nfe(REPORTS / "solver_grid").axes) == 1  # the error has left nothing behind
