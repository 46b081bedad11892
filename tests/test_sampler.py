"""The sampler: orders of convergence, invariants, limits, errors, and its cost apart from the denoiser."""

import math
import re
from itertools import pairwise

import pytest
import torch
from conftest import f64, posterior_mean
from torch.utils._python_dispatch import TorchDispatchMode

import designspace as ds
from designspace.errors import RowError
from designspace.sampling.counting import cost
from designspace.sampling.inverse import inverse
from designspace.sampling.sample import make_flow
from designspace.spec.evaluations import Sampled

STD = 0.5  # of Gaussian data, for which everything is known in closed form


def gaussian(x, sigma):
    return x * STD**2 / (STD**2 + sigma.to(x) ** 2)


WARPS = [
    {"schedule": "ve"},
    {"schedule": "vp", "scaling": "vp"},
    {"schedule": "linear", "scaling": "vp"},
]


@pytest.mark.parametrize("rows", WARPS, ids=str)
def test_order_of_convergence_with_every_schedule_and_scaling(rows):
    """The error of Heun's steps at sigma_min against the exact solution for Gaussian data falls as N^-2."""
    design = ds.Design.preset("edm", time_steps={"sigma_min": 0.3, "sigma_max": 10.0}, to_zero=False, **rows)
    exact = 10 * math.sqrt((STD**2 + 0.3**2) / (STD**2 + 10**2))
    errors = [abs(ds.sample(design, gaussian, f64([[1.0]]), n).x.item() - exact) for n in (128, 256, 512)]
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert abs(slopes[-1] - 2) < 0.2, slopes


def test_last_euler_step_returns_the_denoised_sample_exactly(latents):
    design = ds.Design.preset("edm", solver="euler")
    for dtype in (torch.float32, torch.float64):
        out = ds.sample(design, posterior_mean, latents, 7, dtype=dtype, record=True)
        last = posterior_mean(out.trajectory[-2], out.sigmas[-2])
        assert torch.equal(out.x, last.to(dtype))


@pytest.mark.parametrize(("column", "left"), [("ve", 0.5), ("vp", 0.4547221845234989)])
def test_last_euler_step_of_ve_and_vp_keeps_noise(column, left, latents):
    """As in the sampler of the paper, x_N = D + (1 - k)(x - D) with k = 1/2 for VE and 0.545 for VP."""
    out = ds.sample(ds.Design.preset(column), posterior_mean, latents, 10, record=True)
    x, sigma = out.trajectory[-2], out.sigmas[-2]
    denoised = posterior_mean(x, sigma)
    expected = denoised + left * (x - denoised)
    torch.testing.assert_close(out.x, expected, rtol=0, atol=1e-5 if column == "vp" else 1e-12)


def test_euler_is_ddim(latents):
    """Song et al. (2020), Eq. 12 with eta = 0, on the levels of DDPM, in their scaling and with alpha bar."""
    design = ds.Design.preset("ddpm")
    sigmas = ds.sample(design, posterior_mean, latents, 12).sigmas
    alpha_bar = 1 / (1 + sigmas**2)
    x = latents * sigmas[0] * alpha_bar[0].sqrt()
    for i in range(12):
        a, b = alpha_bar[i], alpha_bar[i + 1]
        denoised = posterior_mean(x / a.sqrt(), sigmas[i])
        eps = (x - a.sqrt() * denoised) / (1 - a).sqrt()
        x = b.sqrt() * denoised + (1 - b).sqrt() * eps
    torch.testing.assert_close(ds.sample(design, posterior_mean, latents, 12).x, x, rtol=1e-12, atol=1e-12)


def test_euler_of_ve_is_the_step_of_song(latents):
    """Song et al. (2021), the probability flow of VE, discretised as their reverse diffusion sampler is."""
    out = ds.sample(ds.Design.preset("ve"), posterior_mean, latents, 12, record=True)
    for (x, after), (a, b) in zip(pairwise(out.trajectory), pairwise(out.sigmas), strict=True):
        score = (posterior_mean(x, a) - x) / a**2
        torch.testing.assert_close(after, x + (a**2 - b**2) / 2 * score, rtol=1e-12, atol=1e-12)


def test_record_and_result(latents):
    out = ds.sample(ds.Design.preset("edm"), posterior_mean, latents, 6, record=True)
    assert out.trajectory.shape == (7, 3, 4)
    assert torch.equal(out.trajectory[0], latents * 80)
    assert torch.equal(out.trajectory[-1], out.x)
    assert out.sigmas.dtype == torch.float64
    assert out.sigmas[0] == 80
    assert out.sigmas[-1] == 0
    assert (out.sigma_min, out.sigma_max) == (out.sigmas[-2], 80)
    assert ds.sample(ds.Design.preset("edm"), posterior_mean, latents, 6).trajectory is None


@pytest.mark.parametrize(
    ("solver", "steps", "expected"),
    [("euler", 18, 18), ("heun", 18, 35), ("heun", 40, 79), ("heun", 256, 511), ("dpmpp_2m", 18, 18)],
)
def test_nfe_is_counted(solver, steps, expected):
    assert cost(ds.Design.preset("edm", solver=solver), steps).nfe == expected


def steps_for(design, budget):
    """The number of steps that a spec with this budget gets."""
    return Sampled.of(design, ds.Denoiser.get("exact")(), ds.Guidance.get("none")()).affordable(budget)


@pytest.mark.parametrize("budget", [7, 11, 19, 27, 35, 51])
def test_largest_number_of_steps_within_a_budget(budget):
    for solver in ("euler", "heun", "dpmpp_2m"):
        design = ds.Design.preset("edm", solver=solver)
        n = steps_for(design, budget)
        assert cost(design, n).nfe <= budget < cost(design, n + 1).nfe
    not_to_zero = ds.Design.preset("edm", solver="euler", to_zero=False)
    assert steps_for(not_to_zero, 10) == 11


def test_noise_depends_on_image_and_step_alone(latents):
    churned = ds.Design.preset("edm", stochasticity={"name": "churn", "S_churn": 30})
    both = ds.sample(churned, posterior_mean, latents[:2], 6).x
    assert torch.equal(ds.sample(churned, posterior_mean, latents[:1], 6).x, both[:1])
    assert not torch.equal(ds.sample(ds.Design.preset("edm"), posterior_mean, latents[:2], 6).x, both)


def test_churn_keeps_the_marginal():
    """Noise of std sqrt(hat^2 - sigma^2) carries p(x; sigma) to p(x; hat): the samples have the moments of the data."""
    design = ds.Design.preset("edm", stochasticity={"name": "churn", "S_churn": 40, "S_min": 0.05, "S_max": 50})
    n = 20000
    latents = torch.randn(n, 1, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(64, n, 1, generator=torch.Generator().manual_seed(1))
    x = ds.sample(design, gaussian, latents, 64, step_noise=lambda i: noise[i]).x
    assert abs(x.std().item() - STD) < 4 * STD / math.sqrt(2 * n) + 1e-3  # 4 standard errors + discretisation


@pytest.mark.parametrize("steps", [64, 512])
def test_as_much_churn_as_possible_does_not_change_the_distribution(steps):
    """Second and fourth moment of Gaussian data, within 4 standard errors, however many steps the chain has."""
    most = {"name": "churn", "S_churn": steps * (math.sqrt(2) - 1), "S_min": 0.0, "S_max": 100.0, "S_noise": 1.0}
    n, draw = 20_000, torch.Generator().manual_seed(0)
    latents = torch.randn(n, 1, generator=draw)
    design = ds.Design.preset("edm", stochasticity=most)
    x = ds.sample(design, gaussian, latents, steps, step_noise=lambda i: torch.randn(n, 1, generator=draw)).x / STD
    for k, moment, variance in ((2, 1, 2), (4, 3, 96)):
        assert abs((x**k).mean().item() - moment) < 4 * math.sqrt(variance / n) + 0.01 * moment


@pytest.mark.parametrize("std", [1.0, 0.5])
def test_vp_keeps_the_standard_deviation_of_data_of_unit_variance_only(std):
    """That of s(t) (y + n); for other data it goes from that of the data to 1."""
    schedule, t = ds.Schedule.get("vp")(), torch.linspace(0, 1, 101, dtype=torch.float64)
    found = ds.Scaling.get("vp")().s(t, schedule) * (std**2 + schedule.sigma(t) ** 2).sqrt()
    assert found[0] == std
    assert found[-1].item() == pytest.approx(1, abs=1e-4)
    assert (found - 1).abs().max() < 1e-12 if std == 1 else (found.diff() > 0).all()


@pytest.mark.parametrize("schedule", ["linear", "vp"])
def test_coefficients_off_the_grid(schedule):
    """They are those at the time of the level."""
    design = ds.Design.preset("edm", schedule=schedule, scaling="vp")
    flow = make_flow(design, gaussian, 5, lambda step, draw: None)
    assert 0.7 not in flow.sigma
    level = flow.at(0.7)
    assert level.sigma == 0.7
    assert flow.at_time(level.t) == pytest.approx(level, rel=1e-12)


REFUSED = [
    (dict(num_steps=1), "num_steps must be at least 2, not 1"),
    (dict(solver={"name": "heun", "alpha": 1.1}, num_steps=8), r"heun\(alpha=1.1\): the step .* negative noise level"),
    (dict(time_steps="iddpm", num_steps=993), "993 steps, but its grid has only 992 levels"),
    (dict(time_steps="ddpm", num_steps=1001), "1001 steps, but its grid has only 1000 levels"),
]


@pytest.mark.parametrize(("rows", "message"), REFUSED)
def test_refused(rows, message, latents):
    rows = dict(rows)
    n = rows.pop("num_steps")
    with pytest.raises(ValueError, match=message):
        ds.sample(ds.Design.preset("edm", **rows), posterior_mean, latents, n)


def test_largest_grids_and_alpha_are_accepted(latents):
    for rows, n in (({"time_steps": "iddpm"}, 992), ({"time_steps": "ddpm"}, 1000)):
        assert len(set(ds.Design.preset("edm", **rows).time_steps.sigmas(n).tolist())) == n
    heun = ds.Design.preset("edm", solver={"name": "heun", "alpha": 1.1})
    assert ds.sample(heun, posterior_mean, latents, 10).nfe == 19


def test_euler_last_can_be_switched_off(latents):
    """In Algorithm 3 with alpha < 1, the last step has two stages as well."""
    design = ds.Design.preset("edm", solver={"name": "heun", "alpha": 0.5, "euler_last": False})
    assert ds.sample(design, posterior_mean, latents, 6).nfe == 12


def test_limits_outside_the_range_are_refused(latents):
    def D(x, sigma):
        return x

    D.sigma_min = 200.0
    with pytest.raises(ValueError, match=r"outside the denoiser's range, 200\.0 to inf"):
        ds.sample(ds.Design.preset("edm"), D, latents, 6)


class Limited:
    """The denoiser of Gaussian data, at the noise levels of a network."""

    def __init__(self, c_noise):
        self.sigma_min, self.sigma_max = c_noise.limits()
        self.round_sigma = c_noise.round_sigma

    def __call__(self, x, sigma):
        return gaussian(x, sigma.reshape(-1, *[1] * (x.ndim - 1)))


@pytest.mark.filterwarnings("ignore:.*fall together")
@pytest.mark.parametrize("solver", sorted(ds.Solver.known))
def test_levels_that_rounding_makes_equal(solver, latents):
    """A step between equal levels changes nothing, so the end point is near that of distinct levels."""
    design = ds.Design.preset("edm", solver=solver, c_noise="iddpm")
    out = ds.sample(design, Limited(design.c_noise), latents, 400)
    assert out.sigmas.unique().numel() == 294  # with the final 0
    assert out.nfe == cost(design, 400, design.c_noise).nfe or design.solver.adaptive
    if design.solver.stochastic:
        assert out.x.isfinite().all()
        assert out.x.abs().max() < 6 * STD
    else:
        distinct = ds.sample(design, lambda x, s: gaussian(x, s.reshape(-1, *[1] * (x.ndim - 1))), latents, 400).x
        torch.testing.assert_close(out.x, distinct, rtol=0, atol=0.02)


def test_what_D_and_the_noise_give_is_checked():
    latents, noise = torch.randn(4, 3, 8, 8), torch.zeros(4, 3, 8, 8)
    churned = ds.Design.preset("edm", stochasticity={"name": "churn", "S_churn": 40})
    for D, given in (
        (lambda x, sigma: x[:, :1], r"float32 \[4, 1, 8, 8\]"),
        (lambda x, sigma: x.new_zeros(8, 8), r"float32 \[8, 8\]"),
        (lambda x, sigma: (x,), "a tuple"),
    ):
        with pytest.raises(ValueError, match=rf"D returns {given} for x \[4, 3, 8, 8\]"):
            ds.sample(ds.Design.preset("edm"), D, latents)
    for step_noise in (lambda i: noise[0], lambda i: noise[0, 0, 0, 0]):
        with pytest.raises(ValueError, match=r"the noise of step 0 is \[.*\] for latents \[4, 3, 8, 8\]"):
            ds.sample(churned, gaussian, latents, step_noise=step_noise)


def test_a_D_that_takes_the_levels_of_images_for_those_of_columns_is_refused():
    design = ds.Design.preset("edm", solver="rk45")
    latents = torch.randn(8, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"its output for an image .*: use sigma\.reshape\(-1, 1, 1, 1\)"):
        ds.sample(design, gaussian, latents)

    def right(x, sigma):
        return gaussian(x, sigma.reshape(-1, *[1] * (x.ndim - 1)))

    out = ds.sample(design, right, latents)
    assert (out.x - ds.sample(ds.Design.preset("edm"), right, latents, 100).x).abs().max() < 1e-2
    assert (ds.sample(design, right, latents[:5]).x - out.x[:5]).abs().max() < 1e-12


WRONG = [
    (dict(num_steps=2.5), "num_steps must be an integer, not 2.5"),
    (dict(num_steps="18"), "num_steps must be an integer, not '18'"),
    (dict(dtype=torch.int64), "floating-point types, such as torch.float64, not torch.int64"),
    (dict(dtype="float64"), "floating-point types, such as torch.float64, not 'float64'"),
    (dict(latents=torch.tensor(1.0)), r"latents must be a non-empty tensor \[B, ...\], not \[\]"),
    (dict(latents=torch.zeros(0, 3)), r"not \[0, 3\]"),
    (dict(latents=[1.0]), "not a list"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=str)
def test_wrong_arguments(wrong, message):
    arguments = {"latents": torch.randn(2, 3), "num_steps": 3} | wrong
    with pytest.raises(ValueError, match=message):
        ds.sample(ds.Design.preset("edm"), gaussian, **arguments)


def test_the_name_of_a_preset_is_no_design():
    with pytest.raises(TypeError, match=r"design must be a Design, not .*: a preset is ds.Design.preset\('edm'\)"):
        ds.sample("edm", gaussian, torch.randn(2, 3), 3)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ({"solver": "huen"}, "solver: unknown solver 'huen'. Did you mean 'heun'? Known: "),
        ({"sovler": "heun"}, "sovler: unknown field 'sovler'. Did you mean 'solver'? Fields: "),
        ({"time_steps": {"rho": -1}}, "time_steps.rho: should be greater than 0, not -1"),
    ],
)
def test_a_wrong_row_of_a_preset_is_one_line_as_in_yaml(rows, line):
    with pytest.raises(ds.SpecError) as error:
        ds.Design.preset("edm", **rows)
    assert str(error.value).startswith(line)
    assert len(error.value.lines) == 1


@pytest.mark.parametrize("steps", ["edm", "vp", "ve"])
def test_steps_are_counted_in_integers(steps):
    with pytest.raises(ValueError, match=r"num_steps must be an integer, not 2\.5"):
        ds.TimeSteps.get(steps)().sigmas(2.5)


@pytest.mark.parametrize("name", ["vp", "ve", "edm", "ddpm", "iddpm", "schedule"])
def test_a_range_outside_of_the_denoisers_is_refused_alike(name):
    row = ds.Schedule.get("vp")() if name == "schedule" else ds.TimeSteps.get(name)()
    for limits in ((500, 600), (1e-6, 1e-5)):
        with pytest.raises(ValueError, match=rf"^{row.row} .* is outside the denoiser's range, {limits[0]} to"):
            row.within(*limits)
    if row.name == "vp":
        with pytest.raises(ValueError, match=rf"^{row.row} vp: no VP curve spans 0\.9 to 1, "):
            row.within(0.9, 1.0)


@pytest.mark.parametrize("fields", [{"S_min": 5, "S_max": 1}, {"S_max": -1}])
def test_churn_at_no_level_is_refused(fields):
    with pytest.raises(ValueError, match=r"S_min = .* to S_max = .*: no noise level is within"):
        ds.Stochasticity.get("churn")(S_churn=10, **fields)


def undefined_beyond(t_max, sigma):
    """A function that fails beyond ``t_max``, like a table of levels."""

    def of(t):
        assert (t <= t_max).all()
        return sigma(t)

    return of


REACHED = [
    (lambda t: t / (0.3 - t) ** 2, math.inf),
    (lambda t: (t * math.pi / 0.6).tan().abs(), math.inf),
    (lambda t: (1 / (t * math.pi / 0.6).cos() ** 2 - 1).sqrt(), math.inf),
    (lambda t: (1.3 * math.pi * t).tan(), math.inf),
    (lambda t: (15 * t**2 - 0.01 * t).expm1().sqrt(), math.inf),
    (lambda t: t**0.1, math.inf),
    (undefined_beyond(0.3, lambda t: t / (0.3 - t)), 0.3),
    (undefined_beyond(0.3, lambda t: 280 * t), 0.3),
]


@pytest.mark.parametrize(("sigma", "t_max"), REACHED)
def test_times_of_levels_up_to_a_pole_or_the_end_of_time(sigma, t_max):
    """They lie on the first branch, where the function increases."""
    levels = torch.logspace(-3, math.log10(80), 60, dtype=torch.float64)
    t = inverse(sigma, levels, t_max)
    torch.testing.assert_close(sigma(t), levels, rtol=1e-9, atol=1e-9)
    grid = torch.lerp(t[0], t[-1], torch.linspace(0, 1, 2000, dtype=torch.float64)).clamp(max=t[-1])
    assert (sigma(grid).diff() > 0).all()


NO_SCHEDULE = [
    (lambda t: t + 0.8 * (2 * t).sin(), math.inf, "is not increasing: it falls near t = 1."),
    (lambda t: 80 - t, math.inf, "is not increasing: it falls near t = "),
    (lambda t: t - 3 * torch.exp(-(((t - 30) / 0.3) ** 2)), math.inf, "is not increasing: it falls near t = 29."),
    (lambda t: torch.where(t < 1, t, t + 3), math.inf, "jumps over 1.035 at t = 1$"),
    (lambda t: t.log1p() / 3, math.inf, "does not reach 80$"),
    (lambda t: 200 * t, 0.3, "does not reach 80$"),
    (lambda t: 0.1 + t, math.inf, "sigma(0) is 0.1, not 0$"),
]


@pytest.mark.parametrize(("sigma", "t_max", "message"), NO_SCHEDULE)
def test_a_function_that_is_no_schedule_is_refused(sigma, t_max, message):
    levels = torch.logspace(math.log10(0.002), math.log10(80), 40, dtype=torch.float64)
    with pytest.raises(ValueError, match=re.escape(message).replace(r"\$", "$")):
        inverse(sigma, levels, t_max)


def test_a_bad_schedule_is_blamed_on_its_row(latents):
    class Jumping(ds.Schedule, name="test_jumping"):
        """A schedule that jumps."""

        def sigma(self, t):
            return torch.where(t < 1, t, t + 3)

    try:
        design = ds.Design.preset("edm", schedule="test_jumping")
        for sampled in (lambda: ds.sample(design, posterior_mean, latents, 18), lambda: steps_for(design, 35)):
            with pytest.raises(RowError, match=r"^schedule test_jumping: sigma\(t\) jumps over .* at t = 1$") as caught:
                sampled()
            assert caught.value.row == "schedule"
    finally:
        ds.Schedule.known.pop("test_jumping")


class Kernels(TorchDispatchMode):
    """Counts operations on tensors of the size of the images, and synchronisations of the host with the device."""

    def __init__(self, size):
        super().__init__()
        self.size, self.images, self.syncs = size, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.syncs += func is torch.ops.aten._local_scalar_dense.default
        writes = isinstance(out, torch.Tensor) and out.numel() >= self.size
        self.images += writes and func not in (torch.ops.aten.view.default, torch.ops.aten.detach.default)
        return out


@pytest.mark.parametrize(("solver", "most"), [("euler", 2), ("heun", 3), ("dpmpp_2m", 4)])
@pytest.mark.parametrize("column", ["edm", "vp"])
def test_kernels_of_image_size_and_host_synchronisation(solver, most, column):
    design = ds.Design.preset(column, solver=solver)
    latents, denoised = torch.randn(4, 3, 8, 8), torch.zeros(4, 3, 8, 8)
    counts = []

    def D(x, sigma):
        counts.append((mode.images, mode.syncs))
        return denoised

    with Kernels(latents.numel()) as mode:
        nfe = ds.sample(design, D, latents, 18).nfe
    (first_images, first_syncs), (_, last_syncs) = counts[0], counts[-1]
    assert (mode.images - first_images) / nfe <= most
    assert last_syncs == first_syncs


def test_a_solver_that_returns_no_pair_is_named():
    class Lonely(ds.Solver, name="returns_no_pair"):
        """It forgets the memory."""

        one_step = True

        def step(self, flow, x, i, sigma, memory):
            return x

    try:
        with pytest.raises(RowError, match=r"'returns_no_pair': step: expected the pair \(x, memory\), got float32"):
            ds.sample(ds.Design.preset("edm", solver=Lonely()), lambda x, sigma: x, torch.randn(2, 3), num_steps=3)
    finally:
        ds.Solver.known.pop("returns_no_pair")
