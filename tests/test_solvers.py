"""Deterministic solvers: published outputs, orders of convergence and common properties."""

import json
import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from conftest import f64, posterior_mean
from scipy.integrate import solve_ivp

import designspace as ds
from designspace.sampling.runge_kutta import RungeKutta, Tableau
from designspace.testing.sampling import converges_at_its_order

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


ORDERS = [
    ({"name": "euler"}, 1),
    ({"name": "heun"}, 2),
    ({"name": "heun", "alpha": 1 / 2}, 2),
    ({"name": "heun", "alpha": 2 / 3}, 2),
    ({"name": "dpm2"}, 2),
    ({"name": "dpm2", "r": 0.3}, 2),
    ({"name": "dpm3"}, 3),
    ({"name": "dpmpp_2s"}, 2),
    ({"name": "dpmpp_2s", "r": 0.7}, 2),
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


@pytest.mark.parametrize(("solver", "order"), ORDERS, ids=str)
def test_order_of_convergence(solver, order):
    made = ds.Solver.model_validate(solver)
    assert made.order_of_convergence == order
    converges_at_its_order(made)


def test_every_deterministic_solver_with_steps_declares_its_order():
    built_in = [cls() for cls in ds.Solver.known.values() if cls.__module__.startswith("designspace.components.")]
    declared = {solver.name for solver in built_in if solver.order_of_convergence}
    assert declared == {solver.name for solver in built_in if not (solver.stochastic or solver.adaptive)}
    assert declared == {solver["name"] for solver, _ in ORDERS}
    assert ds.Solver.get("rk4").remark() == "Order of convergence: 4."
    assert ds.Solver.get("unipc").remark() == "Order of convergence: 4 with the default fields."
    assert ds.Solver.get("rk45").remark() == ds.Solver.get("er_sde").remark() == ""


class Ralston3(RungeKutta, name="test_ralston3"):
    """Ralston's method of order 3, by its tableau alone."""

    order_of_convergence: ClassVar[int] = 3

    @property
    def tableau(self):
        return Tableau(((1 / 2,), (0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9))


def test_a_runge_kutta_method_is_its_tableau(latents):
    """It converges at its order with every schedule and scaling, and its step to zero is Euler's."""
    converges_at_its_order(Ralston3())
    for schedule, scaling in (("ve", "none"), ("linear", "vp")):
        rows = {"schedule": schedule, "scaling": scaling, "to_zero": False}
        fine = ds.sample(ds.Design.preset("edm", solver="rk4", **rows), posterior_mean, latents, 1000).x
        ends = [
            ds.sample(ds.Design.preset("edm", solver=Ralston3(), **rows), posterior_mean, latents, n)
            for n in (200, 400)
        ]
        errors = [(end.x - fine).abs().max().item() for end in ends]
        assert math.log2(errors[0] / errors[1]) > 2.7, (schedule, scaling, errors)
        assert ends[0].nfe == 3 * 199
    assert ds.sample(ds.Design.preset("edm", solver=Ralston3()), posterior_mean, latents, 18).nfe == 3 * 17 + 1


def batched_mixture(x, sigma):
    return torch.cat([posterior_mean(x[i : i + 1], level) for i, level in enumerate(sigma.expand(len(x)))])


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_rk45_is_as_accurate_as_scipys(tolerance, latents):
    """SciPy has the same method, so errors and evaluations are of similar size for each image."""
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


def of_diffusers(order, steps, lower_order_final, last, latents):
    """The samples and the levels of diffusers' DPM-Solver++ with ``last`` as the last level."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.EDMDPMSolverMultistepScheduler(
        solver_order=order, lower_order_final=lower_order_final, final_sigmas_type="sigma_min" if last else "zero"
    )
    scheduler.set_timesteps(steps)
    scheduler.sigmas = scheduler.sigmas.double()
    scheduler.sigmas[-1] = last
    x = latents * scheduler.sigmas[0]
    for sigma, t in zip(scheduler.sigmas, scheduler.timesteps, strict=False):
        c_skip, c_out = 0.25 / (sigma**2 + 0.25), sigma * 0.5 / (sigma**2 + 0.25).sqrt()
        x = scheduler.step((posterior_mean(x, sigma) - c_skip * x) / c_out, t, x).prev_sample
    return x, scheduler.sigmas[scheduler.sigmas > 0].tolist()


@pytest.mark.parametrize("steps", [10, 14, 15, 20])
@pytest.mark.parametrize(("order", "last"), [(2, 0.001), (3, 0.001), (3, 0.0)])
def test_lower_order_final_is_a_rule_or_the_threshold_of_diffusers(order, last, steps, latents):
    def ours(rule):
        solver = {"name": f"dpmpp_{order}m", "lower_order_final": rule}
        rows = {"to_zero": last == 0, "time_steps": {"name": "explicit", "levels": levels}}
        return ds.sample(ds.Design.preset("edm", solver=solver, **rows), posterior_mean, latents, len(levels)).x

    theirs, levels = of_diffusers(order, steps, True, last, latents)
    never, _ = of_diffusers(order, steps, False, last, latents)
    torch.testing.assert_close(ours(15), theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours(False), never, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours(True), ours(100), rtol=0, atol=0)
    assert torch.equal(ours(15), ours(True) if steps < 15 else ours(False))
    assert not torch.allclose(ours(True), ours(False), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("variant", ["bh1", "bh2"])
def test_unipc_of_diffusers_lowers_the_order_at_any_number_of_steps(order, variant, latents):
    levels = ds.Design.preset("edm").time_steps.sigmas(21)
    for rule in (True, False):
        options = {"solver_order": order, "solver_type": variant, "lower_order_final": rule}
        scheduler = pytest.importorskip("diffusers").UniPCMultistepScheduler(
            prediction_type="sample", final_sigmas_type="sigma_min", **options
        )
        scheduler.set_timesteps(20)
        scheduler.sigmas, s = levels, 1 / (1 + levels**2).sqrt()
        z = latents * levels[0] * s[0]
        for i, t in enumerate(scheduler.timesteps):
            z = scheduler.step(posterior_mean(z / s[i], levels[i]), t, z).prev_sample
        solver = {"name": "unipc", "order": order, "variant": variant, "lower_order_final": rule}
        ours = ds.sample(ds.Design.preset("edm", solver=solver, to_zero=False), posterior_mean, latents, 21).x
        torch.testing.assert_close(ours, z / s[-1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["dpmpp_2m", "dpmpp_3m", "dpmpp_3m_exact", "unipc"])
def test_lower_order_final_is_true_false_or_a_number_of_steps(name):
    made = [ds.Solver.get(name)(lower_order_final=value) for value in (True, False, 15)]
    assert [solver.lower_order_final for solver in made] == [True, False, 15]
    assert [type(solver.model_dump()["lower_order_final"]) for solver in made] == [bool, bool, int]
    assert ds.Solver.get(name)() == made[0]
    for wrong in (0, 1, -1, 2.0, "yes"):
        with pytest.raises(ValueError, match="should be true, false or a number of steps of at least 2, not"):
            ds.Solver.get(name)(lower_order_final=wrong)
