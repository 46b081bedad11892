"""One-dimensional data: densities, random walks, trajectories and steps in the plane of time and sample."""

import itertools
import math

import numpy as np
import pytest
import torch
from pipeline import write_spec

import designspace as ds
from designspace.report.figures import plane as figures
from designspace.report.figures.plane import distinct, planes
from designspace.report.figures.steps import one_step, steps
from designspace.report.figures.warps import warps
from designspace.report.study import Study
from designspace.report.write import write
from designspace.run.run import run
from designspace.sampling.plane import plane
from designspace.sampling.probe import Probe
from designspace.spec import load

MIXTURE = {"weights": [0.5, 0.5], "means": [[-0.5], [0.5]], "covs": [[[0.01]], [[0.01]]]}
PLANES = {
    "linear": {"schedule": "linear"},
    "ve": {"schedule": "ve"},
    "vp": {"schedule": {"name": "vp", "sigma_min": 0.02, "sigma_max": 1.5}, "scaling": "vp"},
}


def denoiser():
    return ds.Denoiser.get("gaussian_mixture")(**MIXTURE).bind()


@pytest.fixture(scope="module", params=PLANES)
def made(request):
    steps = {"sigma_min": 0.02, "sigma_max": 1.5}
    design = ds.Design.preset("edm", time_steps=steps, **PLANES[request.param])
    data = ds.Data.get("mixture")(**MIXTURE, count=20_000).load().scaled().flatten()
    found = plane(Probe(design, denoiser(), torch.zeros(1, 1, 1, 1, dtype=torch.float64), 8), data)
    return design, {name: tensor.double() for name, tensor in found.items()}


def pdf(z, sigma, s):
    variance = s**2 * (0.01 + sigma**2)
    modes = [torch.exp(-((z - s * mean) ** 2) / (2 * variance)) for mean in (-0.5, 0.5)]
    return sum(modes) / 2 / (2 * math.pi * variance) ** 0.5


def test_the_density_is_that_of_the_mixture(made):
    _, found = made
    width = found["z"][1] - found["z"][0]
    torch.testing.assert_close(found["density"].sum(0) * width, torch.ones(161, dtype=torch.float64), rtol=0.01, atol=0)
    for i in (40, 100, 160):  # elsewhere rows are as wide as the modes
        exact = pdf(found["z"], found["sigma"][i], found["s"][i])
        assert (found["density"][:, i] - exact).abs().max() < 0.03 * exact.max()


def test_walks_have_the_variance_of_the_noise():
    """All 1,920 increments of the walks, divided by their standard deviations, have unit variance."""
    design = ds.Design.preset("edm", schedule="ve", time_steps={"sigma_min": 0.02, "sigma_max": 1.5})
    data = torch.zeros(10, dtype=torch.float64)
    found = plane(Probe(design, denoiser(), torch.zeros(1, 1, 1, 1, dtype=torch.float64), 8), data)
    steps = found["walks"].double().diff(dim=0) / found["sigma"].double().square().diff().sqrt()[:, None]
    assert abs(steps.square().mean() - 1) < 5 * math.sqrt(2 / steps.numel())
    assert abs(steps.mean()) < 5 / math.sqrt(steps.numel())


def test_tangents_touch_the_curves_and_meet_the_denoiser_where_sigma_is_the_time(made):
    """Section 3 of the EDM paper: a tangent ends at D with sigma = t and s = 1 only."""
    design, found = made
    t, curves = found["t"].numpy(), found["curves"].numpy()
    level, slopes = found["levels"][1], found["tangents"][1]
    near = [np.array([np.interp(float(level) + h, t, curve) for curve in curves.T]) for h in (0.02, -0.02)]
    np.testing.assert_allclose((near[0] - near[1]) / 0.04, slopes.numpy(), rtol=0.1, atol=0.02)
    z = torch.from_numpy(np.array([np.interp(float(level), t, curve) for curve in curves.T]))
    sigma = design.schedule.sigma(level)
    x = z / design.scaling.s(level, design.schedule)
    gap = (z - level * slopes - denoiser()(x.reshape(-1, 1, 1, 1), sigma).flatten()).abs().max()
    assert gap < 1e-3 if design.schedule.name == "linear" else gap > 0.05


def slope(design, t, z):
    """dz/dt of Eq. 4 for the mixture, written here: with its own posterior mean, and ds/dt by differences."""
    at = lambda t: torch.tensor(t, dtype=torch.float64)  # noqa: E731
    s = lambda t: float(design.scaling.s(at(t), design.schedule))  # noqa: E731
    sigma = float(design.schedule.sigma(at(t)))
    sigma_dot, s_dot = float(design.schedule.sigma_dot(at(t))), (s(t + 1e-6 * t) - s(t - 1e-6 * t)) / (2e-6 * t)
    x, variance = z / s(t), 0.01 + sigma**2
    second = 1 / (
        1 + np.exp(-x / variance)
    )  # of the mode at 0.5: the logits differ by ((x + 0.5)^2 - (x - 0.5)^2) / 2v
    denoised = x - sigma**2 / variance * (x - (second - 0.5))
    return (sigma_dot / sigma + s_dot / s(t)) * z - sigma_dot * s(t) / sigma * denoised


def test_steps_are_those_of_heun_from_the_curves(made):
    """From each curve at each time: by Eq. 4 in the scaled sample; the last, to zero, by Euler."""
    design, found = made
    t, levels = found["t"].numpy(), found["levels"].tolist()
    curves = found["curves"].numpy()
    for i, (a, b) in enumerate(itertools.pairwise(levels)):
        z = np.array([np.interp(a, t, curve) for curve in curves.T])
        first = slope(design, a, z)
        second = first if b == 0 else slope(design, b, z + (b - a) * first)
        np.testing.assert_allclose(found["steps"][i].numpy(), z + (b - a) * (first + second) / 2, rtol=0, atol=4e-3)
    assert len(found["steps"]) == len(levels) - 1 == 8


def test_small_enough_to_be_committed(made):
    assert sum(tensor.numel() * 4 for tensor in made[1].values()) < 200_000


SPEC = {
    "data": {"name": "mixture", **MIXTURE, "count": 200},
    "denoiser": {"name": "gaussian_mixture", **MIXTURE},
    "design": {"preset": "edm", "time_steps": {"sigma_min": 0.02, "sigma_max": 1.5}},
    "num_steps": 6,
    "grid": {
        "variant": [{"label": name, "set": rows} for name, rows in PLANES.items()],
        "solver": ["euler", "heun", "euler_maruyama"],
    },
    "evaluate": {"images": 20, "detector": "pixels", "metrics": ["endpoint_error"]},
    "components": [],
}


def test_the_report_draws_the_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    results = run(load(write_spec(tmp_path, **SPEC)), out=tmp_path, progress=False)
    study = Study(results.folder)
    assert results.failures == []
    assert (tmp_path / "cache" / "plane").is_dir()
    found = planes(study)
    assert len(found) == 9
    assert [p.name for p in distinct(found)] == [
        "schedule linear, scaling none",
        "schedule ve, scaling none",
        "schedule vp, scaling vp",
    ]
    assert {p.solver for p in found if p.noisy} == {"euler_maruyama"}
    written = {path.name for path in write(study)}
    for name in ("walks", "backward", "flow", "warps", "steps", "paths", "between"):
        assert f"{name}.png" in written
    check_figures(study, found)
    check_paths(study, found)
    check_between(study)
    step = one_step(found)
    assert step.second == pytest.approx(2 * step.heun - step.euler)
    assert abs(step.heun - step.curve[0]) < abs(step.euler - step.curve[0])


def check_figures(study, found):
    """Check that the figures draw the arrays of the planes."""
    even = max(found, key=lambda p: p.evenness)
    assert even.entry.trial("design", "schedule", "name") == "ve"  # the noise's variance grows as t
    for draw, name in ((figures.walks, "walks"), (figures.flow, "curves")):
        _, axes, _ = draw(study).axes
        np.testing.assert_array_equal([line.get_xdata() for line in axes.lines], [even["t"]] * even[name].shape[1])
        np.testing.assert_array_equal(np.stack([line.get_ydata() for line in axes.lines], 1), even[name])
        (image,) = axes.images
        np.testing.assert_allclose(image.get_array().max(0), 1)
    by_sde, by_ode = figures.backward(study).axes[1::2]
    assert "SDE" in by_sde.get_title(loc="right")
    assert "6 steps of euler_maruyama" in by_sde.get_title(loc="right")
    assert "6 steps of euler" in by_ode.get_title(loc="right")
    for axes, noisy in ((by_sde, True), (by_ode, False)):
        shown = next(p for p in found if p.shares_the_plane_of(even) and p.noisy is noisy)
        np.testing.assert_array_equal(np.stack([line.get_ydata() for line in axes.lines], 1), shown["trajectory"])
    check_warps(study, found)
    curve, euler, second, heun, _ = steps(study).axes[0].lines
    step = one_step(found)
    np.testing.assert_array_equal(curve.get_ydata(), step.curve)
    assert [line.get_ydata()[1] for line in (euler, second, heun)] == [step.euler, step.second, step.heun]


def check_warps(study, found):
    """All schedules and what lies between them on common axes; tangents at sigma = t, s = 1 end at D(x; sigma)."""
    drawn = warps(study).axes
    titles = [axes.get_title(loc="right") for axes in drawn]
    assert titles[::2] == [p.name for p in distinct(found)]
    assert titles[1::2] == ["halfway between those above and below"] * 2
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in drawn}) == 1
    tangents = [line for line in drawn[0].lines if len(line.get_xdata()) == 2]
    assert len(tangents) == 14
    for line in tangents:
        (u, _), (x, end) = line.get_xdata(), line.get_ydata()
        sigma = torch.tensor(1.5 * u, dtype=torch.float64)
        assert end == pytest.approx(float(denoiser()(torch.tensor([[x]], dtype=torch.float64), sigma)), abs=0.02)
    for axes, own in zip(drawn[::2], distinct(found), strict=True):
        image, ends = axes.images[0].get_array(), own["density"][:, -1]
        z = np.linspace(*axes.get_ylim(), len(image))
        np.testing.assert_allclose(image[:, -1], np.interp(z, own["z"], ends) / ends.max(), atol=0.05)


def check_paths(study, found):
    """Euler's paths with the fewest steps leave the flow's curves, solutions of Eq. 4, at their starts."""
    (axes,) = ds.plots.paths(study).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["the flow's curve", "euler, 6 steps"]
    plane = next(p for p in found if p.solver == "euler")
    assert axes.get_title(loc="right") == plane.name == "schedule linear, scaling none"
    *drawn, _, _ = axes.lines
    assert len(drawn) == 8
    design = ds.Design.preset("edm")
    for curve, path in zip(drawn[::2], drawn[1::2], strict=True):
        np.testing.assert_array_equal(path.get_xdata(), plane["levels"])
        assert any(np.array_equal(path.get_ydata(), column) for column in plane["trajectory"].T)
        t, z = plane["levels"][0], float(path.get_ydata()[0])
        assert np.interp(t, curve.get_xdata(), curve.get_ydata()) == pytest.approx(z, abs=0.01)
        for _ in range(300):  # the midpoint rule, with steps that are fine enough to be exact here
            h = (0.1 - plane["levels"][0]) / 300
            z += h * slope(design, t + h / 2, z + h / 2 * slope(design, t, z))
            t += h
        assert np.interp(0.1, curve.get_xdata(), curve.get_ydata()) == pytest.approx(z, abs=0.02)


def check_between(study):
    """Between sigma = t and sigma = sqrt(t), both with s = 1: every curve solves dx / d ln sigma = x - D(x; sigma)."""
    figure = ds.plots.between(study)
    assert len(figure.axes) == 5
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["schedule linear\nscaling none", "0.25", "0.5", "0.75", "schedule ve\nscaling none"]
    for axes, share in zip(figure.axes, (0, 0.25, 0.5, 0.75, 1), strict=True):
        for line in axes.lines:
            u, x = line.get_xdata(), line.get_ydata()
            sigma = 1.5 * u ** (1 - share) * np.sqrt(u) ** share
            seen = (sigma > 0.15) & (sigma < 1.4)
            found = np.gradient(x, np.log(sigma))[seen]
            variance = 0.01 + sigma**2
            denoised = x - sigma**2 / variance * (x - (1 / (1 + np.exp(-x / variance)) - 0.5))
            np.testing.assert_allclose(found, (x - denoised)[seen], rtol=0.05, atol=0.03)


def test_images_have_no_such_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    spec = SPEC | {"data": "digits", "denoiser": "exact", "grid": {"solver": ["euler"]}}
    results = run(load(write_spec(tmp_path, **spec)), out=tmp_path, progress=False)
    names = {path.name for path in write(results.folder)}
    assert "samples.png" in names
    assert not names & {"walks.png", "warps.png"}
    assert not (tmp_path / "cache" / "plane").exists()
