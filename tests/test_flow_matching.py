"""Flow matching as rows: what the network predicts, its noise levels, and plain loops in z with dz/dt = v."""

import itertools
import math

import pytest
import torch
from conftest import f64
from pydantic import ValidationError
from torch import nn

import designspace as ds
from designspace.sampling.rows import Scaling, Schedule
from designspace.training.loss import errors

FLOW = ds.Design.preset("flow")
SIGMAS = torch.logspace(-3, 3.6, 12, dtype=torch.float64)
STEPS = ds.TimeSteps.get("flow")


def time_of(sigma):
    return sigma / (1 + sigma)


def close(actual, expected, rtol=1e-12, atol=0.0):
    expected = torch.as_tensor(expected, dtype=torch.float64).expand_as(actual)
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


class Velocity(nn.Module):
    """A smooth v(z, t) in float64, which takes 1000 t as networks of diffusers do."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))

    def forward(self, z, c_noise, labels=None):
        return torch.sin(z @ self.weight + 3 * c_noise[:, None] / 1000) - 0.3 * z


V, LATENTS = Velocity(), torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def v(z, t):
    return V(z, torch.full((len(z),), 1000 * float(t), dtype=torch.float64))


def loop(times, step):
    """The end of a plain loop from z = t n over ``times``, which end with 0. At the highest level, y is neglected."""
    z = LATENTS * times[0]
    for t, following in itertools.pairwise(times):
        z = step(z, t, following)
    return z


def euler(z, t, following):
    return z + (following - t) * v(z, t)


def heun(z, t, following):
    first, predicted = v(z, t), euler(z, t, following)
    return z + (following - t) * (first if following == 0 else (first + v(predicted, following)) / 2)


def ddim(z, t, following):
    y = z - t * v(z, t)
    return (1 - following) * y + following * (z - (1 - t) * y) / t


def sampled(num_steps, **rows):
    design = ds.Design.preset("flow", **rows)
    return ds.sample(design, ds.precondition(V, design), LATENTS, num_steps)


def times_of(samples):
    return [time_of(sigma) for sigma in samples.sigmas.tolist()]


# What the network predicts


def test_the_network_predicts_the_velocity_of_the_straight_line():
    y, n = f64([0.3, -0.9]), f64([1.1, 0.2])
    for sigma in SIGMAS:
        t, x = time_of(sigma), y + sigma * n
        z = (1 - t) * y + t * n
        close((y - FLOW.c_skip(sigma) * x) / FLOW.c_out(sigma), n - y, 1e-9)
        close(FLOW.c_in(sigma) * x, z)
        close(FLOW.c_noise(sigma), 1000 * t)
        close(FLOW.c_skip(sigma) * x + FLOW.c_out(sigma) * 0.7, z - 0.7 * t)


def test_networks_that_take_the_time_itself():
    close(ds.Design.preset("flow", c_noise={"M": 1}).c_noise(SIGMAS), time_of(SIGMAS))


def test_the_loss_is_that_of_flow_matching():
    """The mean of |v - (n - y)|^2 for any F, and at first, for F = 0, the mean square of n - y."""
    draw = torch.Generator().manual_seed(0)
    y, n = (torch.randn(300, 4, dtype=torch.float64, generator=draw) for _ in range(2))
    sigma = FLOW.training_sigmas(300, draw)
    t = time_of(sigma)[:, None]
    z = (1 - t) * y + t * n
    for F in (V, lambda z, c_noise, labels: 0 * z):
        with torch.no_grad():
            found = errors(ds.precondition(F, FLOW), FLOW, y, sigma, n)
            expected = (F(z, 1000 * t[:, 0], None) - (n - y)).square().mean(1)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_levels_of_training_are_logit_normal_in_t():
    u = (torch.arange(999, dtype=torch.float64) + 1) / 1000
    t = time_of(FLOW.noise_distribution.from_uniform(u))
    close(torch.logit(t), torch.special.ndtri(u), 1e-9, 1e-12)


# Schedule and scaling


def test_the_noise_grows_linearly_and_the_signal_falls_linearly():
    schedule, scaling = FLOW.schedule, FLOW.scaling
    t = f64([0.0, 0.1, 0.5, 0.999, 4096 / 4097])
    close(scaling.s(t, schedule), 1 - t, 1e-12)
    close(scaling.s(t, schedule) * schedule.sigma(t), t, 1e-12)
    close(scaling.s_dot(t, schedule), -1.0, 1e-12)
    close(schedule.sigma_inv(schedule.sigma(t)), t, 1e-12)
    close(schedule.sigma_dot(t), Schedule.sigma_dot(schedule, t), 1e-9)
    assert schedule.sigma(f64(1.0)).isinf()


@pytest.mark.parametrize("name", ["linear", "ve", "vp"])
def test_the_scaling_goes_with_any_schedule(name):
    scaling, schedule, t = FLOW.scaling, ds.Schedule.get(name)(), f64([0.1, 0.5, 0.9])
    close(scaling.s(t, schedule) * (1 + schedule.sigma(t)), 1.0)
    close(scaling.s_dot(t, schedule), Scaling.s_dot(scaling, t, schedule), 1e-9)


# Time steps


@pytest.mark.parametrize(
    ("fields", "times"),
    [
        ({}, [1, 0.8, 0.6, 0.4, 0.2]),
        ({"spacing": "fixed_end"}, [1, 0.75025, 0.5005, 0.25075, 0.001]),
        ({"shift": 3, "spacing": "diffusers"}, [1, 0.9004, 0.7511, 0.5030, 0.0089]),
        ({"shift": math.exp(1.15)}, [1, 0.9045, 0.7595, 0.5128]),
        ({"terminal": 0.1}, [1, 0.7, 0.4, 0.1]),
        ({"shift": 3, "terminal": 0.1}, [1, 0.82, 0.55, 0.1]),
    ],
)
def test_times(fields, times):
    """Two are those of diffusers: of FlowMatchEulerDiscreteScheduler with shift 3, and of Flux with mu = 1.15."""
    close(time_of(STEPS(**fields).sigmas(len(times))), f64([4096 / 4097, *times[1:]]), 0, 5.1e-5)


def test_the_shift_multiplies_the_noise_level():
    plain, shifted = STEPS().sigmas(8), STEPS(shift=3).sigmas(8)
    close(shifted[1:], 3 * plain[1:])
    assert shifted[0] == plain[0] == 4096
    with_limits = STEPS(shift=3).within(0, 4096)
    assert with_limits == STEPS(shift=3)


@pytest.mark.parametrize(("lo", "hi"), [(0.02, 100.0), (0.4, 4096.0), (0.01, 0.7)])
@pytest.mark.parametrize("fields", [{}, {"shift": 3}, {"shift": 0.3}, {"spacing": "diffusers"}, {"terminal": 0.1}])
@pytest.mark.parametrize("n", [2, 7, 300])
def test_a_smaller_range(lo, hi, fields, n):
    steps = STEPS(**fields)
    free, found = steps.sigmas(n), steps.within(lo, hi).sigmas(n)
    assert found[0] == hi
    assert (found.diff() < 0).all()
    assert found[-1] >= lo * (1 - 1e-12)
    if (free[1:] < hi).all() and (free >= lo).all():
        close(found[1:], free[1:])
    elif free[-1] < lo and "terminal" not in fields:
        assert found[-1] == pytest.approx(lo, rel=1e-9)


def test_more_steps_than_fit_below_the_highest_level():
    sigmas = STEPS().sigmas(6000)
    assert sigmas[0] == 4096
    assert (sigmas.diff() < 0).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"terminal": 0.9, "sigma_max": 3}, r"terminal = 0.9 is not below t = 0.75, the time of sigma_max = 3"),
        ({"sigma_min": 5, "sigma_max": 3}, "sigma_min = 5.0 is not below sigma_max = 3.0"),
        ({"spacing": "even"}, "'reciprocal', 'fixed_end' or 'diffusers'"),
        ({"terminal": 1}, "less than 1"),
    ],
)
def test_fields_that_cannot_be(fields, message):
    with pytest.raises(ValidationError, match=message):
        STEPS(**fields)


# Sampling


IN_Z, IN_X = {}, {"schedule": "linear", "scaling": "none"}


@pytest.mark.parametrize("fields", [{}, {"shift": 3}, {"shift": 3, "spacing": "diffusers"}, {"terminal": 0.1}])
@pytest.mark.parametrize(
    ("rows", "sigma_max", "tolerance"), [(IN_X, 4096, 1e-12), (IN_Z, 30, 1e-12), (IN_Z, 4096, 1e-10)]
)
def test_euler_is_euler_on_the_straight_line_and_ddim(fields, rows, sigma_max, tolerance):
    """In x and sigma, too, where the line is straight as well. Near t = 1, 1 - t has rounding errors."""
    out = sampled(6, time_steps={"name": "flow", "sigma_max": sigma_max, **fields}, **rows)
    assert out.nfe == 6
    for step in (euler, ddim):
        close(out.x, loop(times_of(out), step), tolerance, tolerance)


@pytest.mark.parametrize(("sigma_max", "tolerance"), [(30, 1e-12), (4096, 1e-10)])
def test_heun_is_heun_on_the_straight_line(sigma_max, tolerance):
    out = sampled(6, solver="heun", time_steps={"sigma_max": sigma_max})
    assert out.nfe == 11
    close(out.x, loop(times_of(out), heun), tolerance, tolerance)
    in_x = sampled(6, solver="heun", time_steps={"sigma_max": sigma_max}, **IN_X)
    assert (in_x.x - out.x).abs().max() > 0.01  # another method: Heun in sigma and x


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize(("name", "solver"), [("Euler", "euler"), ("Heun", "heun")])
def test_schedulers_of_diffusers(name, solver, shift):
    """They compute in float32. The first time is moved from 1 to that of the highest level."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = getattr(diffusers, f"FlowMatch{name}DiscreteScheduler")(shift=shift)
    scheduler.set_timesteps(6)
    out = sampled(6, solver=solver, time_steps={"name": "flow", "shift": shift, "spacing": "diffusers"})
    theirs = scheduler.sigmas.unique().flip(0).double()
    close(theirs[1:], f64(times_of(out)[1:]), 1e-6)
    scheduler.sigmas[0] = times_of(out)[0]
    z = LATENTS * times_of(out)[0]
    for i, t in enumerate(scheduler.timesteps):
        z = scheduler.step(v(z, t / 1000 if i else times_of(out)[0]), t, z).prev_sample.double()
    torch.testing.assert_close(out.x, z, rtol=1e-5, atol=1e-5)


def test_the_cut_below_the_infinite_level_costs_little():
    """From t = 1 instead of sigma = 4096, with Euler's method, which then takes its first step from pure noise."""
    out = sampled(6)
    exact = loop([1.0, *times_of(out)[1:]], euler)
    assert (out.x - exact).square().mean().sqrt() < 1e-3 * exact.std()


TRAINED = """
data: digits
design: flow
denoiser: {name: trained, network: {name: mlp, width: 64}, batch_size: 64, ema_half_life: 1000}
grid: {denoiser.training_images: [64, 20000], nfe: [8]}
evaluate: {images: 640, detector: pixels, metrics: [frechet, loss]}
"""


def test_the_column_trains_and_samples(tmp_path, monkeypatch):
    """Before training F is 0, the loss is the mean square of n - y, and the samples are the noise itself."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "flow.yaml").write_text(TRAINED)
    first, last = ds.run(ds.load(tmp_path / "flow.yaml"), out=tmp_path, progress=False).rows()
    before, rms = f64(last.metrics["loss"].profile["before"]), ds.Data.get("digits")().load().sigma_data
    close(before, before[0], 1e-4)
    assert before[0] == pytest.approx(1 + rms**2, rel=0.05)
    assert first.metrics["loss"].value == pytest.approx(float(before[0]), rel=1e-3)
    assert last.metrics["loss"].value < 0.7 * first.metrics["loss"].value
    assert last.metrics["frechet"].value < first.metrics["frechet"].value / 3
