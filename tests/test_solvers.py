"""Every deterministic solver: published outputs, orders of convergence, what they share."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import f64, posterior_mean
from scipy.integrate import solve_ivp

import designspace as ds
from designspace.sampling.sample import make_flow

GOLDEN = json.loads((Path(__file__).parent / "data" / "solvers.json").read_text())
RUNS = GOLDEN["runs"]


class Recorded(ds.TimeSteps, name="test_recorded"):
    """The levels of the recorded runs."""

    def sigmas(self, n):
        return f64(GOLDEN["sigmas"])[:n]


PUBLISHED = [
    ("diff-sampler euler", {"name": "euler"}),
    ("diff-sampler heun", {"name": "heun"}),
    ("diff-sampler ipndm-2", {"name": "ipndm", "order": 2}),
    ("diff-sampler ipndm-4", {"name": "ipndm", "order": 4}),
    ("diff-sampler ipndm_v-2 (vs AB var)", {"name": "ab", "order": 2}),
    ("diff-sampler deis-rhoab-2 (vs AB var)", {"name": "ab", "order": 2}),
    ("diff-sampler deis-rhoab-3 (vs AB var)", {"name": "ab", "order": 3}),
    ("diff-sampler dpmpp-2M lower_final=True", {"name": "dpmpp_2m"}),
    ("diff-sampler dpmpp-2M lower_final=False", {"name": "dpmpp_2m", "lower_order_final": False}),
    ("diff-sampler dpmpp-3M lower_final=False", {"name": "dpmpp_3m", "lower_order_final": False}),
    ("diff-sampler unipc-2-bh2", {"name": "unipc", "order": 2}),
    ("diff-sampler unipc-3-bh1", {"name": "unipc", "order": 3, "variant": "bh1"}),
    ("diff-sampler deis-tab-2 (quadrature)", {"name": "deis", "order": 2}),
    ("k-diffusion sample_euler", {"name": "euler"}),
    ("k-diffusion sample_heun", {"name": "heun"}),
    ("k-diffusion dpmpp_2s_ancestral eta=0", {"name": "dpmpp_2s"}),
    ("k-diffusion dpmpp_sde eta=0 (=2S)", {"name": "dpmpp_2s"}),
]


@pytest.mark.parametrize(("key", "solver"), PUBLISHED, ids=lambda v: v if isinstance(v, str) else "")
def test_published(key, solver, latents):
    design = ds.Design.preset("edm", solver=solver, to_zero="k-diffusion" in key, time_steps="test_recorded")
    out = ds.sample(design, posterior_mean, latents, 8)
    tolerance = 1e-6 if "deis-tab" in key else 1e-9
    torch.testing.assert_close(out.x, f64(RUNS[key]["x"]), rtol=tolerance, atol=tolerance)
    assert out.nfe == RUNS[key]["nfe"]


STD = 0.5
ORDERS = [
    ({"name": "euler"}, 1),
    ({"name": "heun"}, 2),
    ({"name": "heun", "alpha": 2 / 3}, 2),
    ({"name": "dpm2"}, 2),
    ({"name": "dpm3"}, 3),
    ({"name": "dpmpp_2s"}, 2),
    ({"name": "dpmpp_2m"}, 2),
    ({"name": "dpmpp_3m"}, 2),
    ({"name": "dpmpp_3m_exact"}, 3),
    *(({"name": "ab", "order": q}, q) for q in (1, 2, 3, 4)),
    *(({"name": "ipndm", "order": q}, min(q, 2)) for q in (1, 2, 3, 4)),
    *(({"name": "deis", "order": q}, q) for q in (2, 3, 4)),
    *(({"name": "exponential_ab", "order": q}, q) for q in (1, 2, 3, 4)),
    *(({"name": "unipc", "order": q, "variant": v}, q + 1) for q in (1, 2, 3) for v in ("bh1", "bh2")),
    ({"name": "rk4"}, 4),
]


def gaussian(x, sigma):
    return x * (STD**2 / (STD**2 + sigma.to(x) ** 2))


def exact(sigma, sigma_max=10.0):
    return f64([[sigma_max * math.sqrt((STD**2 + sigma**2) / (STD**2 + sigma_max**2))]])


def error(solver, n):
    """At sigma_min, with the exact solution in place of the first three steps."""
    steps = {"sigma_min": 0.02 if solver["name"] == "deis" else 0.3, "sigma_max": 10.0}  # VP time needs a small one
    rows = {"solver": {**solver, "lower_order_final": False}} if "lower_order_final" in fields(solver) else {}
    design = ds.Design.preset("edm", **({"solver": solver} | rows), time_steps=steps, to_zero=False)
    flow = make_flow(design, gaussian, n, lambda step, draw: None)
    x, memory = exact(10.0), None
    for i in range(flow.steps):
        x, memory = design.solver.step(flow, x, i, flow.sigma[i], memory)
        if i < 3:
            x = exact(flow.sigma[i + 1])
            memory = memory._replace(x=exact(flow.sigma[i])) if hasattr(memory, "x") else memory
    return abs(x - exact(flow.sigma[-1])).item()


def fields(solver):
    return ds.Solver.get(solver["name"]).model_fields


@pytest.mark.parametrize(("solver", "order"), ORDERS, ids=str)
def test_order_of_convergence(solver, order):
    coarsest = 512 if order < 3 else 32
    errors = [e for n in (32, 64, 128, 256, 512, 1024, 2048, 4096) if n >= coarsest and (e := error(solver, n)) > 1e-12]
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert slopes[-1] > order - 0.2, slopes


def batched_mixture(x, sigma):
    return torch.cat([posterior_mean(x[i : i + 1], level) for i, level in enumerate(sigma.expand(len(x)))])


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_rk45_is_as_accurate_as_scipys(tolerance, latents):
    """The same method in the same variable: errors and evaluations of the same size, image by image."""
    design = ds.Design.preset("edm", solver={"name": "rk45", "rtol": tolerance, "atol": tolerance}, to_zero=False)
    out = ds.sample(design, batched_mixture, latents, 18)
    fine = ds.sample(ds.Design.preset("edm", solver="rk4", to_zero=False), posterior_mean, latents, 2000).x
    for x, exact, latent, nfe in zip(out.x, fine, latents, out.nfe_each, strict=True):

        def slope(level, y):
            y = f64(y)[None]
            return (y - posterior_mean(y, f64(level).exp()))[0].numpy()

        ends = (math.log(80), math.log(0.002))
        oracle = solve_ivp(slope, ends, (80 * latent).numpy(), rtol=tolerance, atol=tolerance, first_step=0.1)
        error = np.abs(oracle.y[:, -1] - exact.numpy()).max()
        assert (x - exact).abs().max() < 3 * error + 1e-10
        assert 0.7 < nfe.item() / oracle.nfev < 1.4
    assert out.nfe == out.nfe_each.double().mean().item()
