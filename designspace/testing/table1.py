"""What the rows of Table 1 owe, the solver excepted."""

from __future__ import annotations

import torch
from torch import Tensor

from designspace.denoising.rows import CIn, CNoise, COut, CSkip
from designspace.sampling.rows import Scaling, Schedule, TimeSteps
from designspace.training.rows import LossWeight, NoiseDistribution

TIMES = torch.linspace(0.02, 1, 50, dtype=torch.float64)
SIGMAS = torch.logspace(-2, 2, 50, dtype=torch.float64)


def inverse_and_derivative_fit(schedule: Schedule) -> None:
    """Sigma grows from 0, sigma_inv undoes it, sigma_dot is its derivative."""
    t = TIMES.clone().requires_grad_()
    sigma = schedule.sigma(t)
    assert sigma.dtype == torch.float64
    assert bool((sigma.diff() > 0).all()), "sigma(t) does not increase"
    torch.testing.assert_close(schedule.sigma_inv(sigma), t)
    torch.testing.assert_close(schedule.sigma_dot(t), _slope(sigma, t))
    torch.testing.assert_close(schedule.sigma(torch.zeros(1, dtype=torch.float64)), torch.zeros(1, dtype=torch.float64))


def derivative_fits_with_every_schedule(scaling: Scaling) -> None:
    """s(0) = 1, s > 0, and s_dot is its derivative."""
    for schedule in (cls() for cls in Schedule.known.values()):
        t = TIMES.clone().requires_grad_()
        s = scaling.s(t, schedule)
        assert bool((s > 0).all())
        torch.testing.assert_close(scaling.s_dot(t, schedule), _slope(s, t))
        torch.testing.assert_close(scaling.s(0 * TIMES[:1], schedule), torch.ones(1, dtype=torch.float64))


def levels_decrease(steps: TimeSteps) -> None:
    """N positive decreasing float64 levels, which follow the limits of a denoiser."""
    for n in (2, 5, 18):
        sigmas = steps.sigmas(n)
        assert sigmas.shape == (n,)
        assert sigmas.dtype == torch.float64
        assert bool((sigmas > 0).all() and (sigmas.diff() < 0).all())
    lo, hi = 0.05, 60.0
    assert bool((steps.within(lo, hi).sigmas(5) >= lo * (1 - 1e-9)).all()), "within() does not keep the lower limit"
    assert bool((steps.within(lo, hi).sigmas(5) <= hi * (1 + 1e-9)).all()), "within() does not keep the upper limit"


def one_level_is_refused(steps: TimeSteps) -> None:
    """One level has no step length."""
    try:
        steps.sigmas(1)
    except ValueError:
        return
    raise AssertionError("sigmas(1) should raise ValueError: N - 1 is zero")


def keeps_shape(row: CSkip | COut | CIn | CNoise | LossWeight) -> None:
    """A finite value for each noise level, in float64."""
    for sigma in (SIGMAS, SIGMAS.reshape(5, 10), SIGMAS[3]):
        value = row(sigma)
        assert value.shape == sigma.shape
        assert value.dtype == torch.float64
        assert bool(value.isfinite().all())


def is_positive(row: CIn | LossWeight) -> None:
    """Neither the input's scale nor the loss may vanish or change sign."""
    assert bool((row(SIGMAS) > 0).all())


def grows_with_the_noise(c_noise: CNoise) -> None:
    """The network must be able to tell levels apart; rounding is to levels that stay what they are."""
    assert bool((c_noise(SIGMAS).diff() >= 0).all())
    rounded = c_noise.round_sigma(SIGMAS)
    torch.testing.assert_close(c_noise.round_sigma(rounded), rounded)
    lo, hi = c_noise.limits()
    assert 0 <= lo < hi


def draws_are_levels(distribution: NoiseDistribution) -> None:
    """Positive, monotone in u, reproducible."""
    sigma = distribution.from_uniform(torch.linspace(0.001, 0.999, 99, dtype=torch.float64))
    assert bool((sigma > 0).all())
    assert bool((sigma.diff() >= 0).all() or (sigma.diff() <= 0).all()), "from_uniform is not monotone"
    first, second = (distribution.sample(7, torch.Generator().manual_seed(0)) for _ in range(2))
    assert first.shape == (7,)
    assert first.dtype == torch.float64
    assert torch.equal(first, second)


def _slope(y: Tensor, t: Tensor) -> Tensor:
    if not y.requires_grad:
        return torch.zeros_like(t)
    grad: Tensor = torch.autograd.grad(y.sum(), t)[0]
    return grad
