"""Stochastic solvers: published outputs for the same noise, and the distribution of the samples."""

import json
from pathlib import Path

import pytest
import torch
from conftest import GOLDEN, f64, posterior_mean

import designspace as ds
from designspace.sampling.counting import cost

RUNS = json.loads((Path(__file__).parent / "data" / "solvers.json").read_text())
PUBLISHED = [
    ("k-diffusion euler_ancestral eta=1", {"name": "euler_ancestral"}),
    ("DDPM textbook == sigma form", {"name": "euler_ancestral", "eta": 1}),
    ("k-diffusion dpmpp_2s_ancestral eta=0", {"name": "dpmpp_2s_ancestral", "eta": 0}),
    ("k-diffusion dpmpp_sde eta=0 (=2S)", {"name": "dpmpp_sde", "eta": 0}),
    ("k-diffusion dpmpp_2m_sde eta=0 heun", {"name": "dpmpp_2m_sde", "eta": 0, "variant": "heun"}),
    ("k-diffusion dpmpp_3m_sde eta=0", {"name": "dpmpp_3m_sde", "eta": 0}),
]


class Recorded(ds.TimeSteps, name="test_recorded_sde"):
    """The levels of the recorded runs."""

    def sigmas(self, n):
        return f64(RUNS["sigmas"])[:n]


@pytest.mark.parametrize(("key", "solver"), PUBLISHED, ids=lambda v: v if isinstance(v, str) else "")
def test_published(key, solver, latents):
    design = ds.Design.preset("edm", solver=solver, time_steps="test_recorded_sde")
    out = ds.sample(design, posterior_mean, latents, 8, step_noise=lambda i: f64(GOLDEN["noise"][i]))
    torch.testing.assert_close(out.x, f64(RUNS["runs"][key]["x"]), rtol=1e-9, atol=1e-9)
    assert out.nfe == RUNS["runs"][key]["nfe"]


WITHOUT_NOISE = [
    ({"name": "euler_ancestral", "eta": 0}, "euler"),
    ({"name": "dpm2_ancestral", "eta": 0}, "dpm2"),
    ({"name": "dpmpp_2s_ancestral", "eta": 0}, "dpmpp_2s"),
    ({"name": "dpmpp_sde", "eta": 0}, "dpmpp_2s"),
    ({"name": "dpmpp_2m_sde", "eta": 0}, {"name": "dpmpp_2m", "lower_order_final": False}),
    ({"name": "sa_solver", "tau": 0, "corrector_order": 0}, {"name": "dpmpp_3m_exact", "lower_order_final": False}),
]


@pytest.mark.parametrize(("solver", "ode"), WITHOUT_NOISE, ids=str)
def test_without_noise_it_is_the_ode_solver(solver, ode, latents):
    stochastic, deterministic = (
        ds.sample(ds.Design.preset("edm", solver=s), posterior_mean, latents, 9, noise=None).x for s in (solver, ode)
    )
    torch.testing.assert_close(stochastic, deterministic, rtol=1e-9, atol=1e-9)


KEEP = [
    {"name": "heun"},  # with churn
    {"name": "euler_ancestral"},
    {"name": "euler_maruyama"},
    {"name": "predictor_corrector"},
    {"name": "dpm2_ancestral"},
    {"name": "dpmpp_2s_ancestral"},
    {"name": "dpmpp_sde"},
    {"name": "dpmpp_2m_sde"},
    {"name": "dpmpp_3m_sde"},
    {"name": "sa_solver"},
    {"name": "er_sde"},
    {"name": "restart", "K": 3, "levels": 6},
]


def mixture_moments():
    weights, means, covs = (f64(GOLDEN["gmm"][k]) for k in ("weights", "means", "covs"))
    mean = weights @ means
    return mean, torch.einsum("k,kij->ij", weights, covs) + (means - mean).T @ (weights[:, None] * (means - mean))


@pytest.mark.parametrize("solver", KEEP, ids=lambda s: s["name"])
def test_keeps_the_marginals(solver):
    """The samples have the mean and the covariance of the mixture, within 5 standard errors and 2 % for the steps."""
    n, steps = 4000, 200
    churn = {"stochasticity": {"name": "churn", "S_churn": 40}} if solver["name"] == "heun" else {}
    design = ds.Design.preset("edm", solver=solver, **churn)
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(n, 4, generator=draw, dtype=torch.float64)
    noise = {}

    def keyed(step, k):
        return noise.setdefault((step, k), torch.randn(n, 4, generator=draw, dtype=torch.float64))

    x = ds.sample(design, posterior_mean, latents, steps, noise=keyed).x
    mean, cov = mixture_moments()
    variance = cov.diagonal()
    assert ((x.mean(0) - mean).abs() < 5 * (variance / n).sqrt() + 0.02 * variance.sqrt()).all()
    scale = (variance[:, None] * variance).sqrt()
    assert ((x.T.cov() - cov).abs() < 5 * scale * (2 / n) ** 0.5 + 0.04 * scale).all()


def test_restart_costs_what_it_says():
    design = ds.Design.preset("edm", solver={"name": "restart", "K": 2, "levels": 3})
    assert cost(design, 18).nfe == 35 + 2 * 2 * 2
    with pytest.raises(ValueError, match="use more steps"):
        cost(ds.Design.preset("edm", solver={"name": "restart", "sigma_min": 0.05, "sigma_max": 0.055}), 18)
