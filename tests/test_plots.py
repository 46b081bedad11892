"""The rows of Table 1 as curves."""

import math

import numpy as np
import pytest
import torch

from designspace import plots
from designspace.design import Design, preset_names
from designspace.drawing.files import saved
from designspace.drawing.look import style
from designspace.errors import SpecError
from designspace.plots import curves_of, figures, path, rows, sheets
from designspace.sampling.levels import vp_sigma
from designspace.sampling.noise import latents
from designspace.sampling.sample import sample
from designspace.table.columns import read_columns

PRESETS = curves_of(read_columns(preset_names()))
BY_NAME = {curve.name: curve for curve in PRESETS}


def drawn(texts):
    return dict(figures(curves_of(read_columns(texts))))


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("name", preset_names())
def test_densities_have_the_mass_of_one(name):
    curve = BY_NAME[name]
    step = math.log(curve.sigma[1] / curve.sigma[0])
    assert curve.density.min() >= 0
    assert curve.density.sum() * step == pytest.approx(1, abs=5e-3)


def test_densities_are_those_of_the_distributions():
    edm, ve = BY_NAME["edm"], BY_NAME["ve"]
    z = (np.log(edm.sigma) + 1.2) / 1.2
    assert np.allclose(edm.density, np.exp(-(z**2) / 2) / (1.2 * math.sqrt(2 * math.pi)), atol=1e-3)
    inside = (ve.sigma > 0.025) & (ve.sigma < 90)
    assert np.allclose(ve.density[inside], 1 / math.log(100 / 0.02), rtol=1e-3)
    assert np.allclose(ve.density[(ve.sigma < 0.018) | (ve.sigma > 110)], 0)


def test_discrete_levels_have_a_density_without_spikes():
    vp, ddpm = BY_NAME["vp"], BY_NAME["ddpm"]
    inside = (ddpm.sigma > 0.1) & (ddpm.sigma < 100)
    assert np.allclose(ddpm.density[inside], vp.density[inside], rtol=0.05)  # uniform in the same time


def test_effective_weight_is_the_density_where_the_loss_is_even():
    for name in ("edm", "vp", "ve", "ddpm"):
        assert np.allclose(BY_NAME[name].effective_weight, BY_NAME[name].density)
    (flat,) = curves_of(read_columns(["edm:loss_weight=uniform"]))
    assert np.allclose(flat.effective_weight, flat.c_out**2 * flat.density)


def test_curves_are_those_of_the_rows():
    vp = BY_NAME["vp"]
    assert vp.t_max == pytest.approx(1)
    assert np.allclose(vp.schedule, vp_sigma(torch.from_numpy(vp.time), 19.9, 0.1))
    assert np.allclose(vp.scaling, 1 / np.sqrt(1 + vp.schedule**2))
    assert np.allclose(BY_NAME["edm"].c_noise, np.log(BY_NAME["edm"].sigma) / 4)
    assert len(vp.levels) == 18
    supported = ~np.isnan(BY_NAME["ve"].c_noise)
    assert BY_NAME["ve"].sigma[supported][[0, -1]] == pytest.approx([0.02, 100], rel=0.05)


def test_measured_time_steps_are_said_to_be():
    curves = curves_of(read_columns(["edm", "edm:time_steps=equal_error"]))
    assert [(curve.measured, curve.search_nfe > 1025) for curve in curves] == [(False, False), (True, True)]
    note = {name: panels for name, _, panels in sheets(curves)}["time_steps"][0].note
    assert "measured rules before their measurement" in " ".join(note.split())
    assert f"edm:time_steps=equal_error {curves[1].search_nfe:,}" in " ".join(note.split())


SHEETS = {"schedule": 2, "time_steps": 1, "preconditioning": 4, "training": 3}


@pytest.mark.parametrize("sheet", SHEETS)
def test_one_figure_of_the_rows_of_designs(sheet):
    edm, euler = Design.preset("edm"), Design.preset("edm", solver="euler")
    figure = rows({"ours": euler, "vp": Design.preset("vp")}, sheet=sheet)
    assert len(figure.axes) == SHEETS[sheet]
    assert legend(figure) == ["ours", "vp"]
    by_text, by_design = rows(["vp", "edm:solver=euler"], sheet), rows(["vp", euler], sheet)
    assert [legend(figure) for figure in (by_text, by_design)] == [["vp", "edm:solver=euler"], ["vp", "design 2"]]
    for one, other in zip(by_text.axes, by_design.axes, strict=True):
        for a, b in zip(one.lines, other.lines, strict=True):
            assert np.array_equal(a.get_xydata(), b.get_xydata(), equal_nan=True)
    assert legend(rows(edm, sheet)) == ["design 1"]
    assert legend(rows("edm", sheet)) == ["edm"]


def test_the_path_of_a_sample_shows_the_samples_and_the_means_of_the_images_they_may_come_from(digits):
    """The strip of pictures against the posterior mean of the digits, written here."""
    figure = path("edm:solver=euler", num_steps=4, seed=3)
    above, below = figure.axes[:4], figure.axes[4:]
    levels = Design.preset("edm").time_steps.sigmas(4).numpy()
    assert [axes.get_title() for axes in above] == [f"{level:.3g}" for level in levels]
    images = digits.scaled().flatten(1).double()

    def mean(x, sigma):
        weights = (-((x.flatten() - images) ** 2).sum(1) / (2 * float(sigma) ** 2)).softmax(0)
        return (weights @ images).reshape(1, 1, 8, 8).to(x.dtype)

    found = sample(Design.preset("edm", solver="euler"), mean, latents(3, [0], (1, 8, 8)), 4, record=True)
    for x, level, top, bottom in zip(found.trajectory, levels, above, below, strict=False):
        for axes, expected in ((top, x / (1 + level**2) ** 0.5), (bottom, mean(x, level))):
            (image,) = axes.images
            shown = np.asarray(image.get_array())
            assert shown.shape == (8, 8, 3)
            np.testing.assert_allclose(shown[..., 0], ((expected[0, 0].clamp(-1, 1) + 1) / 2).numpy(), atol=1e-4)
    last = torch.from_numpy(np.asarray(below[-1].images[0].get_array())[..., 0] * 2 - 1).flatten()
    assert ((images - last) ** 2).sum(1).min() < 1e-6  # at the lowest level, one of the images is left


def test_wrong_rows_are_named():
    with pytest.raises(ValueError, match=r"no sheet 'time_step'. Did you mean 'time_steps'\? Sheets: schedule, "):
        rows(["edm"], sheet="time_step")
    with pytest.raises(ValueError, match="no design is given"):
        rows([])
    with pytest.raises(SpecError, match="edn"):
        rows(["edn"])


def test_too_many_levels_are_refused():
    with pytest.raises(ValueError, match="1200"):
        curves_of(read_columns(["edm", "iddpm"]), num_steps=1200)


def test_designs_that_are_equal_in_a_figure_are_one_entry():
    found = drawn(["edm", "edm:solver=euler", "edm:time_steps.rho=3"])
    assert legend(found["time_steps"]) == ["edm, edm:solver=euler", "edm:time_steps.rho=3"]
    assert legend(found["training"]) == ["edm, edm:solver=euler, edm:time_steps.rho=3"]
    assert legend(drawn([f"edm:time_steps.rho={rho}" for rho in (3, 5, 7)])["training"]) == [
        "edm:time_steps.rho=3 (same as 2 others)"
    ]
    (axes,) = found["time_steps"].axes
    assert len([line for line in axes.lines if len(line.get_xdata()) == 18 and line.get_linewidth()]) == 2


def test_curves_on_each_other_are_stripes_and_named():
    found = drawn(["edm", "vp", "iddpm"])
    c_skip = found["preconditioning"].axes[0]
    assert c_skip.get_title(loc="right") == "vp = iddpm"
    widths = [line.get_linewidth() for line in c_skip.lines if line.get_linewidth() and len(line.get_xdata()) > 2]
    assert widths == [1.2, 2.5, 1.2]
    near = drawn(["edm", "edm:time_steps.rho=7.01"])["time_steps"].axes[0]
    assert near.get_title(loc="right").splitlines()[-1] == "edm ≈ edm:time_steps.rho=7.01"


def test_figures_show_the_arrays_of_the_designs():
    names = ["edm", "vp"]
    curves = curves_of(read_columns(names))
    found = drawn(names)
    rows = {
        "schedule": [("time", "schedule"), ("time", "scaling")],
        "preconditioning": [("sigma", row) for row in ("c_skip", "c_out", "c_in")],
        "training": [("sigma", row) for row in ("loss_weight", "density", "effective_weight")],
    }
    for name, expected in rows.items():
        for axes, (x, y) in zip(found[name].axes, expected, strict=False):
            lines = [line for line in axes.lines if line.get_linewidth() and len(line.get_xdata()) > 2]
            for line, curve in zip(lines, curves, strict=True):
                np.testing.assert_array_equal(line.get_xdata(), getattr(curve, x), err_msg=f"{name} {y}")
                np.testing.assert_array_equal(line.get_ydata(), getattr(curve, y), err_msg=f"{name} {y}")
    (axes,) = found["time_steps"].axes
    lines = [line for line in axes.lines if line.get_linewidth() and len(line.get_xdata()) == 18]
    assert [list(line.get_ydata()) for line in lines] == [list(curve.levels) for curve in curves]
    assert [axes.get_yscale() for axes in found["preconditioning"].axes] == ["linear", "symlog", "linear", "linear"]
    labels = [axes.get_ylabel() for axes in found["preconditioning"].axes]
    assert labels[:3] == [r"$c_\mathrm{skip}$", r"$c_\mathrm{out}$", r"$c_\mathrm{in}$"]
    assert "c_\\mathrm{noise}" in labels[3]


def test_figures_are_drawn_the_same_each_time():
    with style():
        first, again = ({name: saved(figure, "svg") for name, figure in drawn(["vp"]).items()} for _ in range(2))
    assert list(first) == ["schedule", "time_steps", "preconditioning", "training"]
    assert first == again


def test_names_are_not_read_as_mathematics_or_as_hidden_keys():
    curves = curves_of({"_a $b": read_columns(["edm"])["edm"], "c$": read_columns(["vp"])["vp"]})
    with style():
        for _, figure in figures(curves):
            assert legend(figure) == [r"_a \$b", r"c\$"]
            saved(figure, "png")


def test_the_module_lists_only_what_is_public():
    assert {name for name in dir(plots) if not name.startswith("_")} == {*plots.__all__}
