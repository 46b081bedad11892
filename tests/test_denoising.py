"""Metrics of the denoiser: against closed forms, on real digits, and in a report."""

import math
from dataclasses import replace

import pytest
import torch
from conftest import f64
from pipeline import write_spec

import designspace as ds
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.evaluation.denoiser_probe import DenoiserProbe, denoising
from designspace.evaluation.measure import Measured
from designspace.report import Study, write
from designspace.report.figures.profiles import metric_vs_sigma, profile_panels
from designspace.run.run import run
from designspace.spec import load

PRESETS = ["ddpm", "iddpm", "vp", "ve", "edm"]
STD = 0.5


class Linear(torch.nn.Module):
    """The network F(x) = theta x."""

    def __init__(self, theta):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor(theta))

    def forward(self, x, c_noise, labels=None):
        return self.theta * x


def seen(design, network, n=2000, std=STD, untrained=None):
    draw = torch.Generator().manual_seed(0)
    y, noise = (torch.randn(n, 1, 4, 4, generator=draw) for _ in range(2))
    loaded = [None if net is None else PreconditionedNetwork(net, design, (1, 4, 4)) for net in (network, untrained)]
    return DenoiserProbe(design, *loaded, std * y, None, noise, std)


def metric(name, **fields):
    return ds.Metric.get(name)(**fields)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_network_that_says_nothing_has_loss_1_at_every_level_before_training(preset):
    std = STD if preset == "edm" else 1.0  # EDM's target has unit variance for its own sigma_data only
    found = metric("loss").observe(seen(ds.Design.preset(preset), Linear(0.3), std=std, untrained=Linear(0.0)))
    torch.testing.assert_close(found.profile.before, torch.ones_like(found.profile.sigma).double(), rtol=0.02, atol=0)
    assert (found.profile.value - 1).abs().max() > 0.05  # 0.3^2 and more


def test_the_value_is_the_loss_at_the_levels_that_training_draws():
    """For F = theta x with EDM's c_in, the loss is known at each level, and its mean by quadrature."""
    design, theta = ds.Design.preset("edm"), 0.3
    found = metric("loss").observe(seen(design, Linear(theta), n=20_000))
    x = torch.linspace(-5, 5, 2001, dtype=torch.float64)
    sigma = (-1.2 + 1.2 * x).exp()
    gain = design.c_skip(sigma) + theta * design.c_out(sigma) * design.c_in(sigma)
    loss = design.loss_weight(sigma) * ((1 - gain) ** 2 * STD**2 + gain**2 * sigma**2)
    weight = (-(x**2) / 2).exp()
    assert found.value == pytest.approx(float((loss * weight).sum() / weight.sum()), abs=4 * found.se)
    assert found.se < 0.01


def test_the_best_linear_denoiser_is_the_unit_of_the_error():
    """EDM with F = 0 is that denoiser; with c_skip = 1 and F = 0, all of the noise remains."""
    best = metric("denoising_error").observe(seen(ds.Design.preset("edm"), Linear(0.0)))
    assert best.value == pytest.approx(1, abs=0.02)
    assert float((best.profile.value - 1).abs().max()) < 0.05
    none = metric("denoising_error").observe(seen(ds.Design.preset("edm", c_skip="one"), Linear(0.0)))
    sigma = none.profile.sigma
    torch.testing.assert_close(none.profile.value, 1 + sigma**2 / STD**2, rtol=0.03, atol=0)


def test_gradients_of_one_parameter_by_hand():
    design = ds.Design.preset("edm")
    view = seen(design, Linear(0.3), n=4)
    found = metric("gradient_norm", levels=5).observe(view)
    for sigma, value in zip(found.profile.sigma, found.profile.value, strict=True):
        x = view.y + float(sigma) * view.noise
        slope = float(design.c_out(sigma) * design.c_in(sigma))
        gap = (float(design.c_skip(sigma)) + 0.3 * slope) * x - view.y
        gradient = float(design.loss_weight(sigma)) * (2 * gap * slope * x).flatten(1).mean(1)
        assert float(value) == pytest.approx(float(gradient.double().square().mean().sqrt()), rel=1e-4)
    logs = found.profile.value.log10()
    assert found.value == pytest.approx(float(logs.std()), rel=1e-9)


def test_the_density_is_that_of_the_noise_distribution():
    found = metric("loss", levels=40).observe(seen(ds.Design.preset("edm"), Linear(0.0), n=2))
    sigma, density = found.profile.sigma, found.profile.density
    normal = torch.distributions.Normal(f64(-1.2), f64(1.2)).log_prob(sigma.log()).exp()
    torch.testing.assert_close(density, normal, rtol=0.02, atol=2e-3)
    assert float(density.sum()) * math.log(80 / 0.002) / 39 == pytest.approx(1, abs=0.01)


def test_levels_that_the_network_does_not_know_are_left_out():
    found = metric("loss").observe(seen(ds.Design.preset("ve"), Linear(0.0), n=2))
    assert float(found.profile.sigma.min()) >= 0.02
    assert len(found.profile.sigma) == 19


def test_every_denoiser_sees_the_same_images_and_noise_and_its_labels():
    data = ds.Data.get("digits")().load()
    exact = ds.Denoiser.get("exact")().load(data, ds.Design.preset("edm"), torch.device("cpu"))
    one, other = (
        denoising(data, ds.Design.preset(p), (exact, None), 50, torch.device("cpu"), labelled=True)
        for p in ("vp", "ve")
    )
    assert torch.equal(one.y, other.y)
    assert torch.equal(one.noise, other.noise)
    flat = data.scaled().flatten(1)
    places = [int((flat == y).all(1).nonzero()[0]) for y in one.y.flatten(1)]
    assert torch.equal(data.labels[places], one.labels)


def test_what_was_observed_is_kept_whole():
    found = metric("loss").observe(seen(ds.Design.preset("edm"), Linear(0.1), n=8, untrained=Linear(0.0)))
    found = replace(found, floor=0.25, extra={"raw": 1.5})
    kept = Measured.of(found.tensors())
    assert (kept.value, kept.se, kept.floor, kept.extra) == (found.value, found.se, 0.25, {"raw": 1.5})
    assert torch.equal(kept.influence, found.influence)
    assert [column is None for column in kept.profile] == [column is None for column in found.profile]
    columns = zip(kept.profile, found.profile, strict=True)
    assert all(torch.equal(a, b) for a, b in columns if a is not None)
    bare = Measured.of(Measured(2.0).tensors())
    assert (bare.value, bare.se, bare.influence, bare.floor, bare.profile, bare.extra) == (
        2.0,
        None,
        None,
        None,
        None,
        {},
    )


def test_gradients_need_a_network(tmp_path):
    text = "data: digits\ndenoiser: exact\ndesign: edm\nevaluate: {images: 20, metrics: [gradient_norm]}\n"
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ds.SpecError, match=r"a.yaml:4:\d+: .*gradient_norm: denoiser exact has no network"):
        load(tmp_path / "a.yaml")


def test_a_trained_network_beside_the_exact_denoiser(tmp_path, monkeypatch):
    """Points that differ only in the sampler share the observation; the exact denoiser is the best possible one."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    spec = write_spec(
        tmp_path,
        data="digits",
        denoiser="exact",
        grid={
            "denoiser": ["exact", {"label": "network", "set": {"denoiser": {"name": "pretrained", "model": "digits"}}}],
            "solver": ["euler", "heun"],
        },
        nfe=5,
        evaluate={"images": 4, "metrics": [{"name": "denoising_error", "images": 100}, {"name": "loss", "images": 50}]},
    )
    results = run(load(spec), out=tmp_path / "out", progress=False)
    rows = {(row.axes["denoiser"], row.axes["solver"]): row.metrics for row in results.rows()}
    assert len(rows) == 4
    for name in ("exact", "network"):
        assert rows[name, "euler"] == rows[name, "heun"]
    exact, network = (rows[name, "heun"]["denoising_error"] for name in ("exact", "network"))
    assert 0 < exact.value < network.value < 0.6
    assert "before" not in exact.profile
    untrained = network.profile["before"]
    assert all(after < before for after, before in zip(network.profile["value"], untrained, strict=True))


def test_the_figure_shows_training(tmp_path, monkeypatch):
    """The figure shows the recorded loss before and after training, and the density of the training levels."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    spec = write_spec(
        tmp_path,
        data="digits",
        denoiser={"name": "pretrained", "model": "digits"},
        num_steps=3,
        evaluate={"images": 4, "metrics": [{"name": "loss", "images": 16}]},
    )
    run(load(spec), out=tmp_path / "out", progress=False)
    folder = tmp_path / "out" / load(spec).name
    assert "loss_vs_sigma.png" in {path.name for path in write(folder)}
    (profile,) = profile_panels(Study(folder), "loss")[0].curves
    assert len(profile.before) == len(profile.density) == len(profile.x) == 24
    axes, below = metric_vs_sigma(Study(folder), "loss").axes
    assert [list(line.get_ydata()) for line in axes.lines] == [list(profile.y), list(profile.before)]
    assert [list(line.get_ydata()) for line in below.lines] == [list(profile.density)]
    assert below.collections  # the area below it


def test_the_levels_that_a_denoiser_supports_are_those_of_its_own_network():
    coarse = ds.CNoise.get("iddpm")()
    trained, exact = ds.Denoiser.get("preconditioned"), ds.Denoiser.get("exact")()
    design = ds.Design.preset("edm", c_noise=coarse)
    assert "c_noise" in trained.rows
    assert exact.supported(design) is None
    model = ds.Denoiser.get("pretrained")(model="digits")
    assert model.supported(design) == model._parts()[0].c_noise != coarse
    assert ds.Denoiser.get("pretrained")(model="none").supported(design) is None
