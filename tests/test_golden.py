"""Every number of Table 1 against reference values, in float64, to a relative error of 1e-9."""

import json
from fractions import Fraction

import pytest
import torch
from conftest import GOLDEN, f64, posterior_mean

import designspace as ds
from designspace.registry.known import ROWS
from designspace.sampling.levels import ddpm_levels, iddpm_levels, vp_betas
from designspace.sampling.sample import make_flow

RANGES = {"vp": None, "ve": (0.02, 100.0), "iddpm": (0.002, 81.0), "edm": (0.002, 80.0)}


def close(actual, expected, rtol=1e-9):
    torch.testing.assert_close(actual, f64(expected), rtol=rtol, atol=0)


def close_batch(actual, expected, rtol=1e-9):
    """Errors are relative to the largest entry, because single coordinates may pass through zero."""
    expected = f64(expected)
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=rtol * expected.abs().max().item())


def schedule(name, sigma_range):
    """The reference implementation fits the betas of VP to the range of the sampler, unless it is that of VP."""
    if name == "vp" and sigma_range:
        return {"name": "vp", "sigma_min": sigma_range[0], "sigma_max": sigma_range[1]}
    return name


def design(solver, steps, sched, scaling, alpha="1", **rows):
    alpha = float(Fraction(alpha))
    solver = {"name": "heun", "alpha": alpha} if solver == "heun" else solver
    return ds.Design.preset(
        "edm", solver=solver, time_steps=steps, schedule=schedule(sched, RANGES[steps]), scaling=scaling, **rows
    )


class Watched:
    """The denoiser of the mixture with the limits of a network, which records the levels of its evaluations."""

    def __init__(self, c_noise=None):
        self.sigmas = []
        if c_noise is not None:
            self.sigma_min, self.sigma_max = c_noise.limits()
            self.round_sigma = c_noise.round_sigma

    def __call__(self, x, sigma):
        assert sigma.dtype == torch.float64
        assert sigma.ndim == 0
        self.sigmas.append(sigma.item())
        return posterior_mean(x, sigma)


@pytest.mark.parametrize("key", GOLDEN["schedules"])
def test_schedule_and_scaling(key):
    want = GOLDEN["schedules"][key]
    name, _, scaling = key.partition("+scaling_")
    sched = ds.Schedule.get(name)()
    s = ds.Scaling.get(scaling or ("vp" if name == "vp" else "none"))()
    t = f64(want["t"])
    if "sigma" in want:
        close(sched.sigma(t), want["sigma"])
        close(sched.sigma_dot(t), want["sigma_deriv"])
        close(sched.sigma_inv(f64(want["sigma"])), want["t"])
    close(s.s(t, sched), want["s"])
    close(s.s_dot(t, sched), want["s_deriv"])


@pytest.mark.parametrize("key", GOLDEN["vp_refit"])
def test_betas_fitted_to_a_range(key):
    want = GOLDEN["vp_refit"][key]
    fitted = ds.Schedule.get("vp").model_validate({k: want[k] for k in ("sigma_min", "sigma_max")})
    close(f64(fitted.beta_d), want["beta_d"])
    # beta_min is a difference of numbers 2,000 times larger
    torch.testing.assert_close(f64(fitted.beta_min), f64(want["beta_min"]), rtol=0, atol=1e-9)
    assert vp_betas(want["sigma_min"], want["sigma_max"]) == (fitted.beta_d, fitted.beta_min)


@pytest.mark.parametrize("key", [k for k in GOLDEN["time_steps"] if "sigma_steps" in GOLDEN["time_steps"][k]])
def test_time_steps(key):
    name, n = key.split("_")
    want = GOLDEN["time_steps"][key]["sigma_steps"]
    # the iDDPM values were computed in float32; the clean ones are tested below
    close(ds.TimeSteps.get(name)().sigmas(int(n)), want[: int(n)], rtol=5e-4 if name == "iddpm" else 1e-9)


@pytest.mark.parametrize("sched", ["vp", "ve", "linear"])
def test_times_of_edm_steps(sched):
    want = GOLDEN["time_steps"][f"edm_5_tsteps_schedule_{sched}"]["t_steps"]
    flow = make_flow(design("euler", "edm", sched, "none"), posterior_mean, 5, lambda i, draw: None)
    close(f64([flow.at(sigma).t for sigma in flow.sigma]), want)


def test_levels_of_iddpm_and_ddpm():
    want = GOLDEN["time_steps"]["iddpm_u_clean64"]
    u = iddpm_levels(1000, 0.001, 0.008)
    close(u[want["j"]], want["u"])
    close(u.sum(), want["sum_u"])
    close(ddpm_levels(1000, 1e-4, 0.02)[GOLDEN["ddpm"]["j"]], GOLDEN["ddpm"]["u"])


NETS = {"VPPrecond": "vp", "VEPrecond": "ve", "iDDPMPrecond": "iddpm", "EDMPrecond": "edm"}


@pytest.mark.parametrize("key", NETS)
def test_preconditioning(key):
    want, column = GOLDEN["precond"][key], ds.Design.preset(NETS[key])
    sigma = f64(want["sigma"])
    for row in ("c_skip", "c_out", "c_in", "c_noise"):
        close(getattr(column, row)(sigma), want[row])
    close(column.c_noise.round_sigma(sigma), want["round_sigma"])
    close(f64(column.c_noise.limits()), [float(want["net_sigma_min"]), float(want["net_sigma_max"])])


@pytest.mark.parametrize(("key", "name"), [("VPLoss", "vp"), ("VELoss", "ve"), ("EDMLoss", "edm")])
def test_noise_distribution_and_loss_weight(key, name):
    want, column = GOLDEN["loss"][key], ds.Design.preset(name)
    close(column.noise_distribution.from_uniform(f64(want["u"])), want["sigma"])
    close(column.loss_weight(f64(want["sigma"])), want["weight"])


@pytest.mark.parametrize("name", ["iddpm", "ddpm"])
def test_discrete_noise_distribution_is_uniform_over_the_levels(name):
    column = ds.Design.preset(name)
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    assert column.c_noise(column.noise_distribution.from_uniform(u)).tolist() == list(range(999, -1, -1))


RUNS = {k: v for k, v in GOLDEN["ablation"]["runs"].items() if "|iddpm|" not in k} | GOLDEN["ablation_iddpm_clean64"]


@pytest.mark.parametrize("key", RUNS)
def test_deterministic_runs(key, latents):
    solver, steps, sched, scaling, n, alpha = key.split("|")
    out = ds.sample(design(solver, steps, sched, scaling, alpha), posterior_mean, latents, int(n))
    close_batch(out.x, RUNS[key]["x"])
    assert out.nfe == RUNS[key]["nfe"]


@pytest.mark.parametrize("key", GOLDEN["edm_sampler"])
def test_edm_sampler(key, latents):
    want, net = GOLDEN["edm_sampler"][key], Watched()
    out = ds.sample(ds.Design.preset("edm"), net, latents, int(key[1:]))
    close_batch(out.x, want["x"])
    close(f64(net.sigmas), want["sigmas_evaluated"])
    assert out.nfe == want["nfe"]


@pytest.mark.parametrize("key", GOLDEN["churn"])
def test_churn(key, latents):
    want, net = GOLDEN["churn"][key], Watched()
    args = dict(want["args"])
    n = args.pop("num_steps")
    args = {k: v for k, v in args.items() if k.startswith("S_")}
    rows = {k: want["args"].get(v, d) for k, v, d in (("s", "schedule", "linear"), ("g", "scaling", "none"))}
    steps = want["args"].get("discretization", "edm")
    column = design("heun", steps, rows["s"], rows["g"], stochasticity={"name": "churn", **args})
    out = ds.sample(column, net, latents, n, step_noise=lambda i: f64(GOLDEN["noise"][i]))
    close_batch(out.x, want["x"])
    close(f64(net.sigmas), want["sigmas_evaluated"])
    assert out.nfe == want["nfe"]


@pytest.mark.parametrize(
    ("key", "column", "steps", "rtol"),
    [
        ("iddpm_net|edm_sampler_N6", "iddpm", "edm", 2e-3),  # its float32 levels differ by 5e-4 from the clean ones
        ("iddpm_net|ablation_iddpm_N6_euler", "iddpm", "iddpm", 2e-3),
        ("ve_net|edm_sampler_N6", "ve", "edm", 1e-9),
    ],
)
def test_limits_of_the_network(key, column, steps, rtol, latents):
    want, net = GOLDEN["net_limits"][key], Watched(ds.Design.preset(column).c_noise)
    solver = "euler" if "euler" in key else "heun"
    out = ds.sample(ds.Design.preset("edm", solver=solver, time_steps=steps), net, latents, 6)
    close_batch(out.x, want["x"], rtol)
    close(f64(net.sigmas), want["sigmas_evaluated"], rtol)
    assert out.nfe == want["nfe"]
    assert out.sigma_min == pytest.approx(net.sigma_min)


def test_limits_fit_the_vp_schedule_anew():
    """With a VE network, the sampler of VP runs from 0.02 to 100, with betas for this range."""
    vp, want = ds.Design.preset("vp"), GOLDEN["vp_refit"]["ve"]
    for row in (vp.schedule.within(0.02, 100.0), vp.time_steps.within(0.02, 100.0)):
        close(f64(row.beta_d), want["beta_d"])
        close(f64(row.beta_min), want["beta_min"], 1e-8)
    limits = vp.c_noise.limits()
    assert (vp.schedule.within(*limits), vp.time_steps.within(*limits)) == (vp.schedule, vp.time_steps)


def formula_only(base, known):
    """A row with the same formula, whose derivative and inverse the base class computes."""
    kept = {key: value for key, value in vars(type(known)).items() if key in ("sigma", "s")}
    return type(base)("Formula", (base,), {"__module__": __name__, "name": known.name} | kept)()


@pytest.mark.parametrize("name", ["linear", "ve"])
def test_a_schedule_is_its_formula(name, latents):
    """Differentiation and bisection agree with the closed forms to rounding errors, and so do the samples."""
    closed = ds.Schedule.get(name)()
    formula = formula_only(ds.Schedule, closed)
    sigma = torch.logspace(-4, 4, 200, dtype=torch.float64)
    t = closed.sigma_inv(sigma)
    torch.testing.assert_close(formula.sigma_inv(sigma), t, rtol=1e-15, atol=0)
    torch.testing.assert_close(formula.sigma_dot(t), closed.sigma_dot(t), rtol=1e-15, atol=0)
    column = ds.Design.preset("edm", schedule=closed, scaling="vp")
    own = column.model_copy(update={"schedule": formula, "scaling": formula_only(ds.Scaling, column.scaling)})
    with torch.inference_mode():
        x = ds.sample(own, posterior_mean, latents, 18).x
    torch.testing.assert_close(x, ds.sample(column, posterior_mean, latents, 18).x, rtol=1e-12, atol=1e-12)


class FlowMatching(ds.Schedule, name="test_flow_matching"):
    """The noise level of straight paths from data to noise, which is infinite at t = 1."""

    def sigma(self, t):
        return t / (1 - t)


def test_the_time_of_a_noise_level_is_found_where_time_ends():
    schedule, sigma = FlowMatching(), torch.logspace(-6, 6, 100, dtype=torch.float64)
    torch.testing.assert_close(schedule.sigma_inv(sigma), sigma / (1 + sigma), rtol=1e-15, atol=0)
    assert schedule.sigma_inv(f64([[0.0, 1.0]])).tolist() == [[0.0, 0.5]]
    assert schedule.sigma_dot(f64([0.0, 0.5])).tolist() == pytest.approx([1, 4])


def test_flow_matching_follows_the_same_flow(latents):
    design = ds.Design.preset("edm", schedule="test_flow_matching")
    x = ds.sample(design, posterior_mean, latents, 1024).x
    assert (x - f64(GOLDEN["exact_ode"]["edm_80"])).abs().max() < 2e-4


def test_what_a_schedule_cannot_do_by_itself_is_said():
    class Bounded(ds.Schedule, name="test_bounded"):
        """A schedule that tends to 1."""

        def sigma(self, t):
            return t.tanh()

    class Opaque(ds.Schedule, name="test_opaque"):
        """A schedule that PyTorch cannot differentiate."""

        def sigma(self, t):
            return torch.from_numpy(t.detach().numpy() ** 2)

    class Constant(ds.Scaling, name="test_opaque_scaling"):
        """A scaling that PyTorch cannot differentiate."""

        def s(self, t, schedule):
            return (1 + t.detach()).reciprocal()

    try:
        with pytest.raises(ValueError, match=r"schedule test_bounded: sigma\(t\) does not reach 80$"):
            ds.sample(ds.Design.preset("edm", schedule="test_bounded"), posterior_mean, f64([[1.0] * 4]), 4)
        with pytest.raises(ValueError, match=r"test_opaque: PyTorch cannot differentiate sigma\(t\); define sigma_dot"):
            Opaque().sigma_dot(f64([1.0]))
        with pytest.raises(ValueError, match=r"test_opaque_scaling: PyTorch cannot differentiate s\(t\); define s_dot"):
            Constant().s_dot(f64([1.0]), Bounded())
        assert Opaque().sigma_inv(f64([9.0])).tolist() == [3.0]
    finally:
        for row, name in (
            ("schedule", "test_bounded"),
            ("schedule", "test_opaque"),
            ("scaling", "test_opaque_scaling"),
        ):
            ROWS[row].known.pop(name)


@pytest.mark.parametrize("sched", ["linear", "ve", "vp"])
@pytest.mark.parametrize("scaling", ["none", "vp"])
def test_every_schedule_and_scaling_reach_the_same_end_point(sched, scaling, latents):
    x = ds.sample(design("heun", "edm", sched, scaling), posterior_mean, latents, 1024).x
    assert (x - f64(GOLDEN["exact_ode"]["edm_80"])).abs().max() < 2e-4


@pytest.mark.parametrize("preset", ["ddpm", "iddpm", "vp", "ve", "edm"])
def test_float32_state(preset, latents):
    """The state may be float32; coefficients are float64 regardless."""
    column = ds.Design.preset(preset)
    exact = ds.sample(column, posterior_mean, latents, 18).x
    single = ds.sample(column, posterior_mean, latents.float(), 18)
    assert single.x.dtype == torch.float32
    assert (single.x - exact).abs().max() < 1e-5 * exact.abs().max()


@pytest.mark.parametrize("preset", ["ddpm", "iddpm", "vp", "ve", "edm"])
def test_presets_round_trip_through_json(preset):
    column = ds.Design.preset(preset)
    again = ds.Design.model_validate(json.loads(json.dumps(column.model_dump(), allow_nan=False)))
    assert again == column
    assert hash(again) == hash(column)
