"""Loss weights newer than EDM: weights of other predictions, identities, importance sampling, and presets."""

import json
import math

import pytest
import torch
from conftest import f64

import designspace as ds
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.evaluation.denoiser_probe import DenoiserProbe
from designspace.spec import SpecError, load
from designspace.table.curves import curves_of
from designspace.training.loss import errors

SIGMA = torch.logspace(-3, 3, 25, dtype=torch.float64)
SNR = SIGMA**-2
LOG = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
"""ln sigma, for quadrature."""
STD = 0.7


def row(name, **fields):
    return ds.LossWeight.get(name)(**fields)


def edm(**rows):
    return ds.Design.preset("edm", **rows)


def close(actual, expected, rtol=1e-12):
    torch.testing.assert_close(actual, f64(expected).expand_as(actual), rtol=rtol, atol=0)


def on(prediction, weight):
    """The weight of the squared error of the output of a network that predicts this."""
    c_out = {"noise": "ddpm", "velocity": "velocity", "flow": "flow", "edm": "edm"}[prediction]
    return weight(SIGMA) * ds.COut.get(c_out)()(SIGMA) ** 2


# Weights as published, for the predictions that publications put them on


def test_the_sigmoid_is_one_of_the_log_snr_on_the_noise():
    for bias in (2.0, 0.0, -3.0):
        close(on("noise", row("sigmoid", bias=bias)), torch.sigmoid(bias - SNR.log()), 1e-9)


def test_the_sigmoid_is_soft_min_snr():
    """On the output of a network with EDM's c_out, k-diffusion weights by (sigma sd)^2 / (sigma^2 + sd^2)^2."""
    soft = row("sigmoid", bias=-2 * math.log(0.5))
    close(soft(SIGMA), 1 / (SIGMA**2 + 0.25))
    close(on("edm", soft), (SIGMA * 0.5) ** 2 / (SIGMA**2 + 0.25) ** 2)
    assert -2 * math.log(0.5) == pytest.approx(1.386, abs=5e-4)


def test_p2():
    for k, gamma in ((1.0, 1.0), (1.0, 0.5), (3.0, 2.0)):
        close(on("noise", row("p2", k=k, gamma=gamma)), (k + SNR) ** -gamma)
    close(row("p2")(SIGMA), row("sigmoid", bias=0.0)(SIGMA))
    close(row("p2", gamma=0.0)(SIGMA), row("ddpm")(SIGMA))


def test_debiased_and_truncated():
    close(on("noise", row("debiased")), SNR**-0.5)
    close(on("noise", row("truncated_snr")), (1 / SNR).clamp(min=1.0))
    close(on("velocity", row("truncated_snr")), SNR.clamp(min=1.0) / (1 + SNR))


def test_edm_monotonic():
    """EDM's effective weight on the noise, up to where it is largest."""
    weight, design = row("edm_monotonic"), edm()
    effective = SIGMA**2 * design.loss_weight(SIGMA) * design.noise_distribution.density(SIGMA)
    mode = 5.2273
    close((SIGMA**2 * weight(SIGMA))[mode > SIGMA], effective[mode > SIGMA])
    fine = torch.linspace(0, 4, 4001, dtype=torch.float64).exp()
    on_noise = fine**2 * weight(fine)
    assert (on_noise.diff() > -1e-12).all()
    assert on_noise[fine > mode].std() < 1e-9
    largest = fine**2 * design.loss_weight(fine) * design.noise_distribution.density(fine)
    assert float(on_noise[-1]) == pytest.approx(float(largest.max()), rel=1e-6)
    assert float(fine[largest.argmax()]) == pytest.approx(mode, abs=0.01)
    assert float(on_noise[-1]) == pytest.approx(2.1682, abs=5e-5)


def test_edm_monotonic_where_the_effective_weight_has_two_maxima():
    fields = {"P_mean": -3.0, "P_std": 2.0}
    weight, distribution = row("edm_monotonic", **fields), ds.NoiseDistribution.get("edm")(**fields)
    fine = torch.linspace(-8, 8, 8001, dtype=torch.float64).exp()
    effective = fine**2 * edm().loss_weight(fine) * distribution.density(fine)
    assert effective.diff().sign().diff().abs().bool().sum() == 3  # two maxima, and a minimum between them
    close(fine**2 * weight(fine), effective.cummax(0).values, 1e-6)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sigmoid", [6.878, 2.594, 0.8808, 0.1095]),
        ("p2", [0.9901, 0.8000, 0.5000, 0.1000]),
        ("debiased", [10.0, 2.0, 1.0, 0.3333]),
        ("truncated_snr", [100.0, 4.0, 1.0, 1.0]),
        ("edm_monotonic", [22.669, 2.4327, 1.0082, 0.21824]),
    ],
)
def test_reference_values(name, values):
    torch.testing.assert_close(row(name)(f64([0.1, 0.5, 1.0, 3.0])), f64(values), rtol=5e-4, atol=0)


# What they train


NEWER = [
    *(row(name) for name in ("sigmoid", "p2", "debiased", "truncated_snr", "edm_monotonic")),
    row("importance", target="sigmoid"),
    row("importance", target="edm", target_distribution="edm"),
]


@pytest.mark.parametrize("weight", NEWER, ids=str)
def test_the_exact_posterior_mean_minimises_the_loss(weight):
    """For data of variance s^2 and D = g x, this is s^2 / (s^2 + sigma^2) as g; the loss is the weighted variance then.

    The four combinations of signs make the sums over data and noise exact.
    """
    design = edm(loss_weight=weight, noise_distribution="edm2")
    levels = design.noise_distribution.from_uniform((torch.arange(400, dtype=torch.float64) + 0.5) / 400)
    sigma, y = levels.repeat(4), f64([STD, STD, -STD, -STD]).repeat_interleave(400).reshape(-1, 1, 1, 1)
    noise = f64([1, -1, 1, -1]).repeat_interleave(400).reshape(-1, 1, 1, 1)

    def loss(gain):
        found = errors(lambda x, _: gain.repeat(4).reshape(-1, 1, 1, 1) * x, design, y, sigma, noise)
        return found.double().reshape(4, 400).mean(0)

    best = STD**2 / (STD**2 + levels**2)
    least, lower, higher = loss(best), loss(best / 2), loss(best * 1.5)
    assert (lower > least).all()
    assert (higher > least).all()
    weights, variance = design.training_weights(levels), STD**2 * levels**2 / (STD**2 + levels**2)
    close(least, weights * variance, 1e-5)
    close((lower + higher) / 2, weights * (variance + STD**4 / 4 / (STD**2 + levels**2)), 1e-5)


# Importance


def expected_loss(design):
    """E[lambda |D - y|^2 / d] for the best denoiser of Gaussian data, by quadrature over the quantiles."""
    u = (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
    sigma = design.noise_distribution.from_uniform(u)
    return float((design.training_weights(sigma) * STD**2 * sigma**2 / (STD**2 + sigma**2)).mean())


@pytest.mark.parametrize("target", ["sigmoid", "p2", "edm_monotonic"])
@pytest.mark.parametrize("drawn", ["edm2", "log_logistic", "mode", "beta_t"])
def test_the_expected_loss_does_not_depend_on_the_noise_distribution(target, drawn):
    """It is the integral of W |D - y|^2 over ln sigma."""
    error = STD**2 / (STD**2 + LOG.exp() ** 2) * LOG.exp() ** 2
    whole = float(torch.trapezoid(row(target)(LOG.exp()) * error, LOG))
    found = expected_loss(edm(loss_weight={"name": "importance", "target": target}, noise_distribution=drawn))
    assert found == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize("drawn", ["edm", "edm2", "uniform_log", "mode", "log_logistic"])
def test_the_objective_of_another_design(drawn):
    """EDM's loss is the same whatever levels are drawn, but its terms have another variance."""
    weight = {"name": "importance", "target": "edm", "target_distribution": "edm"}
    design = edm(loss_weight=weight, noise_distribution=drawn)
    assert expected_loss(design) == pytest.approx(expected_loss(edm()), rel=1e-3)
    assert expected_loss(edm()) == pytest.approx(1.2733, abs=5e-4)
    if drawn == "edm":
        close(design.training_weights(SIGMA), edm().loss_weight(SIGMA))


def test_the_effective_weight_is_the_target():
    design = edm(loss_weight={"name": "importance", "target": "p2"}, noise_distribution="laplace")
    (curves,) = curves_of({"a": design})
    middle = (curves.sigma > 0.3) & (curves.sigma < 3) & (abs(curves.sigma - 1) > 0.1)  # the density has a peak at 1
    on_D = (curves.loss_weight * curves.density)[middle]
    torch.testing.assert_close(on_D, row("p2")(f64(curves.sigma)).numpy()[middle], rtol=0.02, atol=0)


def test_beyond_its_limits_the_density_at_the_limit_is_used():
    design = edm(loss_weight={"name": "importance", "target": "uniform"}, noise_distribution="uniform_log")
    close(design.training_weights(f64([1e-6, 0.1, 1e6])), math.log(80 / 0.002))


def test_levels_that_the_target_does_not_draw_have_no_weight():
    weight = row("importance", target="uniform", target_distribution="ve")
    close(weight(f64([0.01, 0.03, 99.0, 101.0])), [0, 1 / math.log(5000), 1 / math.log(5000), 0])


def test_training_and_its_metrics_weigh_for_the_distribution():
    design = edm(loss_weight={"name": "importance", "target": "p2"}, noise_distribution="laplace")
    draw = torch.Generator().manual_seed(0)
    y, n = torch.randn(2, 6, 1, 4, 4, generator=draw)
    sigma = design.training_sigmas(6, draw)
    weight = row("p2")(sigma) / design.noise_distribution.density(sigma)
    found = errors(lambda x, sigma: 0 * x, design, y, sigma, n).double()
    torch.testing.assert_close(found, weight * y.flatten(1).square().mean(1).double(), rtol=1e-5, atol=0)
    network = PreconditionedNetwork(lambda x, c_noise, labels: x, design, (1, 4, 4))
    seen = DenoiserProbe(design, network, None, y, None, n, 1.0)
    profile = ds.Metric.get("loss")(levels=3).observe(seen).profile
    at = [seen.squared_errors(network, s.expand(6)).mean() for s in profile.sigma]
    close(profile.value, design.training_weights(profile.sigma) * torch.stack(at), 1e-9)


REFUSED = [
    (
        {"preset": "edm", "loss_weight": "importance", "noise_distribution": "ddpm"},
        "noise_distribution",
        "loss_weight importance needs a density: noise_distribution ddpm draws from 1000 levels and has none: use a",
    ),
    (
        {"preset": "edm", "loss_weight": {"name": "importance", "target_distribution": "betas"}},
        "loss_weight.target_distribution",
        "noise_distribution betas draws from 1000 levels and has none: use a continuous one, such as edm",
    ),
    (
        {"preset": "edm", "loss_weight": "importance", "noise_distribution": "adaptive"},
        "noise_distribution",
        "loss_weight importance needs a density: noise_distribution adaptive changes in training and has no fixed",
    ),
    (
        {"preset": "edm", "loss_weight": {"name": "importance", "target": "uncertainty"}},
        "loss_weight.target",
        "loss_weight uncertainty is learned in training, which changes the objective: use a fixed one",
    ),
]


@pytest.mark.parametrize(("design", "where", "message"), REFUSED)
def test_what_importance_refuses(design, where, message, tmp_path):
    with pytest.raises(SpecError, match=rf"^{where}: {message}"):
        ds.Design.preset(**design)
    spec = tmp_path / "a.yaml"
    spec.write_text(f"data: digits\ndenoiser: exact\ndesign: {json.dumps(design)}\n")
    with pytest.raises(SpecError, match=rf"a.yaml:3:\d+: design.{where}: {message}"):
        load(spec)


def test_an_axis_of_noise_distributions(tmp_path):
    text = "data: digits\ndenoiser: {name: trained, network: mlp}\ndesign: {preset: edm, loss_weight: importance}\n"
    (tmp_path / "a.yaml").write_text(text + "grid: {noise_distribution: [edm, edm2], loss_weight: [edm, importance]}\n")
    trials = load(tmp_path / "a.yaml").trials()
    assert len({trial.id for trial in trials}) == 4
    weights = [trial.design.training_weights(SIGMA) for trial in trials]
    assert [torch.equal(weights[i], weights[j]) for i, j in ((0, 2), (1, 3), (0, 1))] == [True, False, False]


# Presets


def test_edm2():
    design = ds.Design.preset("edm2")
    assert (design.noise_distribution.P_mean, design.noise_distribution.P_std) == (-0.4, 1.0)
    close(design.loss_weight(SIGMA) * design.c_out(SIGMA) ** 2, 1.0)


def test_jit_predicts_the_image_and_weights_the_velocity():
    """In the notation of the paper: z = t y + (1 - t) n, the network gives y, and logit(t) ~ N(-0.8, 0.8^2)."""
    design, t = ds.Design.preset("jit"), 1 / (1 + SIGMA)
    y, n = f64(0.3), f64(-1.1)
    x = y + SIGMA * n
    close(design.c_in(SIGMA) * x, t * y + (1 - t) * n, 1e-9)
    close(design.c_noise(SIGMA), t)
    close(design.c_skip(SIGMA) * x + design.c_out(SIGMA) * y, y)
    close(design.loss_weight(SIGMA), (1 - t) ** -2)
    drawn = 1 / (1 + design.noise_distribution.from_uniform(f64([0.5, 0.8413447460685429])))
    close(drawn.logit(), [-0.8, -1.6], 1e-9)


def test_vdm_plus_plus_weights_the_noise_by_a_sigmoid_uniformly_in_the_log_snr():
    design = ds.Design.preset("vdm++")
    effective = SIGMA**2 * design.loss_weight(SIGMA) * design.noise_distribution.density(SIGMA)
    close(effective / torch.sigmoid(2 - SNR.log()), 1 / math.log(80 / 0.002), 1e-9)
    assert (effective.diff() > 0).all()  # a monotone weight: the loss is an evidence lower bound
