"""Checks of the rows of the block *Sampling*."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from itertools import product

import torch
from torch import Tensor

from designspace.design import Design
from designspace.registry.calling import elementwise, require_tensor
from designspace.sampling.rows import D, Scaling, Schedule, Stochasticity, TimeSteps
from designspace.sampling.sample import lift, sample
from designspace.sampling.solver import Solver
from designspace.testing.assertions import (
    SIGMAS,
    derivative,
    require,
    require_close,
    require_error,
    require_finite,
    require_same,
)
from designspace.testing.context import STAND_INS, Context

STD = 0.5
"""The standard deviation of Gaussian data, whose flow has a closed form."""
CONSTANT = 0.3
HIGH, LOW = 10.0, 0.02
"""The first and the last noise level in checks of solvers."""
DENSE = 10001
"""The number of times at which schedules are checked."""
ZERO = torch.zeros(1, dtype=torch.float64)


def sigma_increases_from_zero(schedule: Schedule) -> None:
    """sigma(0) is 0, and sigma increases with t."""
    require_close("sigma(0)", elementwise(schedule, "sigma(t)", schedule.sigma, ZERO), ZERO)
    t = _times(schedule)
    sigma = elementwise(schedule, "sigma(t)", schedule.sigma, t)
    require(sigma.dtype == torch.float64, "the dtype of sigma(t) for float64 times", torch.float64, sigma.dtype)
    require_close("sigma(t) for times of shape [5, 10]", schedule.sigma(t.reshape(5, 10)).flatten(), sigma, at=t)
    even = torch.linspace(0, 1, DENSE, dtype=torch.float64)
    for times in (torch.lerp(t[0], t[-1], even), t[0] * (t[-1] / t[0]) ** even):
        _increases("sigma(t)", schedule.sigma(times.clamp(max=t[-1])), times)


def sigma_inv_inverts_sigma(schedule: Schedule) -> None:
    """sigma_inv gives the time of each noise level."""
    sigma, t = _levels(schedule), _times(schedule)
    require(bool((t > 0).all()), "sigma_inv of positive noise levels", "positive times", t[~(t > 0)])
    _increases("sigma_inv(sigma)", t, sigma)
    require_close("sigma(sigma_inv(sigma))", schedule.sigma(t), sigma, at=sigma)


def sigma_dot_is_the_derivative(schedule: Schedule) -> None:
    """sigma_dot is the derivative of sigma."""
    t = _times(schedule)
    slope, rounding = derivative(schedule.sigma, t, schedule.t_max)
    require_close(
        "sigma_dot(t), the derivative of sigma(t),", schedule.sigma_dot(t), slope, rtol=1e-5, atol=rounding, at=t
    )


def scales_the_signal(scaling: Scaling, given: Context = STAND_INS) -> None:
    """s(0) is 1, s is positive, and s_dot is its derivative, with every schedule."""
    for schedule in given.schedules:
        t, s, with_it = _times(schedule), partial(scaling.s, schedule=schedule), f"with schedule {schedule}"
        require_close(f"s(0) {with_it}", s(ZERO), torch.ones_like(ZERO))
        require_finite(f"s(t) {with_it}", s(t))
        require(bool((s(t) > 0).all()), f"s(t) {with_it}", "positive numbers", s(t)[~(s(t) > 0)])
        slope, rounding = derivative(s, t)
        what = f"s_dot(t), the derivative of s(t), {with_it}"
        require_close(what, scaling.s_dot(t, schedule), slope, rtol=1e-5, atol=rounding, at=t)


def levels_decrease(steps: TimeSteps, given: Context = STAND_INS) -> None:
    """sigmas(n) has n positive levels in decreasing order, float64."""
    for n in given.num_steps:
        try:
            found, what = steps.sigmas(n), f"sigmas({n})"
        except ValueError:  # which says that there are no n levels
            if given.in_trial:
                continue
            raise
        sigmas = require_tensor(steps, what, found, ("n",))
        require(sigmas.shape == (n,), f"the shape of {what}", [n], list(sigmas.shape))
        require(sigmas.dtype == torch.float64, f"the dtype of {what}", torch.float64, sigmas.dtype)
        decreasing = bool((sigmas > 0).all() and (sigmas.diff() < 0).all())
        require(decreasing, what, "positive levels in decreasing order", sigmas)


def respects_the_limits_of_a_denoiser(steps: TimeSteps, given: Context = STAND_INS) -> None:
    """With the limits of a denoiser, the levels lie within them, or ``within`` raises ValueError."""
    (lo, hi), n = given.limits, given.num_steps[0]
    try:
        sigmas = steps.within(lo, hi).sigmas(n)
    except ValueError:
        return
    inside = bool((sigmas >= lo * (1 - 1e-9)).all() and (sigmas <= hi * (1 + 1e-9)).all())
    require(inside, f"within({lo}, {hi}).sigmas({n})", "levels within these limits", sigmas)


def one_level_is_refused(steps: TimeSteps) -> None:
    """``sigmas(1)`` raises ValueError, since one level makes no step."""
    with require_error(ValueError, "sigmas(1)"):
        steps.sigmas(1)


def noise_is_only_added(stochasticity: Stochasticity) -> None:
    """``lift`` never lowers the noise level, and does not change it if the rule is not noisy."""
    for sigma in SIGMAS.tolist():
        hat, std = lift(stochasticity, sigma, 18)
        require(hat >= sigma, f"the level of lift({sigma:.4g}, 18)", f"at least {sigma:.4g}", hat)
        require(std >= 0, f"S_noise of lift({sigma:.4g}, 18)", "at least 0", std)
        still = stochasticity.noisy or hat == sigma
        require(still, f"the level of lift({sigma:.4g}, 18) where noisy is False", sigma, hat)


def keeps_shape_and_dtype(solver: Solver) -> None:
    """Samples are finite, also at noise level 0, and have the shape and the dtype of the latents."""
    for dtype, to_zero in product((torch.float32, torch.float64), (False, True)):
        latents = torch.randn(3, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
        design = _design(solver).model_copy(update={"to_zero": to_zero})
        x = sample(design, _gaussian, latents, 4).x  # which checks shape and dtype
        require_finite(f"samples for latents of {dtype}{' at 0' * to_zero}", x)


def is_exact_for_a_constant_denoiser(solver: Solver) -> None:
    """If D is constant, x - D is proportional to sigma, which a deterministic solver follows without error."""
    if solver.stochastic:
        return
    latents = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out = sample(_design(solver), lambda x, sigma: torch.full_like(x, CONSTANT), latents, 6)
    expected = CONSTANT + (latents * HIGH - CONSTANT) * LOW / HIGH
    tolerance = 1e-2 if solver.adaptive else 1e-9
    require_close("x at the last level for a constant D", out.x, expected, rtol=tolerance, atol=tolerance)


def converges_to_the_exact_end_point(solver: Solver) -> None:
    """On Gaussian data the error at the known end point falls. With noise, the spread of the samples is right."""
    if solver.stochastic:
        draw = torch.Generator().manual_seed(0)
        latents = torch.randn(4000, 1, generator=draw)
        spread = sample(_design(solver), _gaussian, latents, 200, noise=_noise(4000, draw)).x.std().item()
        expected = math.hypot(STD, LOW)
        right = abs(spread - expected) < 0.05 * STD
        require(right, "the standard deviation of samples of Gaussian data", f"{expected:.4g} within 5 %", spread)
        return
    exact = HIGH * math.sqrt((STD**2 + LOW**2) / (STD**2 + HIGH**2))
    errors = [abs(_end(solver, _gaussian, n) / exact - 1) for n in ((2,) if solver.adaptive else (32, 64, 128))]
    falling = sorted(errors, reverse=True) == errors
    require(falling, "the errors at the end point with 32, 64 and 128 steps", "falling numbers", errors)
    require(errors[-1] < 0.02, "the relative error at the end point", "less than 0.02", errors[-1])


def converges_at_its_order(solver: Solver) -> None:
    """The error falls as the declared power of the step size, on a flow that is smooth and exact at both ends."""
    order = solver.order_of_convergence
    if solver.stochastic or solver.adaptive:
        require(order is None, "order_of_convergence of a solver that draws noise or is adaptive", None, order)
        return
    errors = {n: abs(_end(solver, _bump, n) / BUMP_END - 1) for n in (64, 128, 256, 512, 1024)}
    pairs = [math.log2(errors[n] / errors[2 * n]) for n in (64, 128, 256, 512) if errors[2 * n] > 1e-11]
    require(bool(pairs), "the errors with 64 to 1024 steps", "larger than rounding errors", list(errors.values()))
    declared = "a class variable or a property that declares it"
    require(order is not None, "order_of_convergence", f"{declared}; measured is {pairs[-1]:.2f}", None)
    right = order is not None and abs(pairs[-1] - order) < 0.3
    require(right, "the observed order_of_convergence", f"{order}, as declared", f"{pairs[-1]:.2f}")


def does_not_depend_on_the_batch(solver: Solver) -> None:
    """An image comes out the same alone and in a batch, with the same number of evaluations."""
    latents = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = sample(_design(solver), _gaussian, latents, 8)
    alone = sample(_design(solver), _gaussian, latents[:1], 8)
    require_same("an image alone and in a batch", alone.x, together.x[:1], rtol=1e-12, atol=1e-12)
    nfe = together.nfe if together.nfe_each is None else together.nfe_each[0].item()
    require(alone.nfe == nfe, "the evaluations of an image alone and in a batch", nfe, alone.nfe)


def does_not_modify_its_input(solver: Solver) -> None:
    """The solver does not modify its input, and a recorded state does not change afterwards."""
    seen: list[Tensor] = []

    def watching(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(x.clone())
        return _gaussian(x, sigma)

    latents = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    path = sample(_design(solver), watching, latents, 4, record=True).trajectory
    assert path is not None
    require_close("the first state, after sampling", path[0], latents * HIGH)
    require_close("the input of the denoiser in the first step", seen[0], latents * HIGH)


def _increases(what: str, value: Tensor, at: Tensor) -> None:
    require_finite(what, value)
    steps = value.diff()
    least = int(steps.argmin())
    found = f"a change of {steps[least].item():.4g} from {at[least].item():.4g} to {at[least + 1].item():.4g}"
    require(steps[least].item() > 0, what, "an increasing function", found)


def _levels(schedule: Schedule) -> Tensor:
    """Noise levels of the schedule's own range, where it has one, up to those that it reaches at ``t_max``."""
    low, high = (float(getattr(schedule, f"sigma_{end}", SIGMAS[k])) for end, k in (("min", 0), ("max", -1)))
    if schedule.t_max < math.inf:
        high = min(schedule.sigma(torch.full_like(ZERO, schedule.t_max)).nan_to_num(nan=math.inf).item(), high)
    return torch.logspace(math.log10(low), math.log10(high), 50, dtype=torch.float64)


def _times(schedule: Schedule) -> Tensor:
    return schedule.sigma_inv(_levels(schedule))


def _design(solver: Solver) -> Design:
    return Design.preset("edm", solver=solver, to_zero=False, time_steps={"sigma_min": LOW, "sigma_max": HIGH})


def _end(solver: Solver, denoiser: D, num_steps: int) -> float:
    return sample(_design(solver), denoiser, torch.ones(1, 1, dtype=torch.float64), num_steps).x.item()


def _noise(images: int, draw: torch.Generator) -> Callable[[int, int], Tensor]:
    """Noise that is the same each time it is requested, and cheaper than ``KeyedNoise`` for thousands of images."""
    return cache(lambda step, k: torch.randn(images, 1, generator=draw))


def _gaussian(x: Tensor, sigma: Tensor) -> Tensor:
    return x * (STD**2 / (STD**2 + sigma.to(x).reshape(-1, 1) ** 2))


BUMP_LOW, BUMP_HIGH, POWER = 0.05, 8.0, 6
BUMP_END = LOW * (BUMP_HIGH / BUMP_LOW) ** (0.9 * 4**POWER * math.gamma(POWER + 1) ** 2 / math.gamma(2 * POWER + 2))
"""The end point of the flow of ``_bump`` from a latent of 1: it follows from d ln x / d ln sigma = 1 - D / x."""


def _bump(x: Tensor, sigma: Tensor) -> Tensor:
    """D = x times a polynomial bump in ln sigma, zero at both ends of the range.

    Every method is exact where D is zero. Therefore the lower order of multistep methods in their first and last steps,
    where their history is incomplete, does not hide their order of convergence.
    """
    w = (sigma.clamp(BUMP_LOW, BUMP_HIGH) / BUMP_LOW).log() / math.log(BUMP_HIGH / BUMP_LOW)
    return x * (0.9 * (4 * w * (1 - w)) ** POWER).to(x).reshape(-1, 1)
