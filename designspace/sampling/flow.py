r"""The flow that a solver follows: the probability flow ODE, Eq. 4 of Karras et al. (2022).

.. math:: \frac{dz}{dt} = \left(\frac{\dot\sigma}{\sigma} + \frac{\dot s}{s}\right) z
    - \frac{\dot\sigma s}{\sigma} D\!\left(\frac{z}{s}; \sigma\right), \qquad z = s(t)\,x.

Every coefficient is a Python float computed once in float64, so a step is a few operations on the images
and never waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from designspace.errors import RowError, blaming
from designspace.sampling import rows
from designspace.sampling.counted import CountedDenoiser


class Level(NamedTuple):
    """A point in time and what Eq. 4 needs there."""

    t: float
    sigma: float
    sigma_dot: float
    s: float
    s_dot: float

    def slope(self, h: float) -> tuple[float, float]:
        """The weights of ``x`` and ``D(x; sigma)`` in ``h dz/dt``."""
        pull = h * self.sigma_dot / self.sigma * self.s  # h first: exactly -1 for the last step of sigma = t
        return pull + h * self.s_dot, -pull


class Lift(NamedTuple):
    """What noise is added before a step."""

    sigma: float
    """The noise level that it lifts to."""
    std: float
    """Its standard deviation; 0: none is added."""


@dataclass(frozen=True)
class Flow:
    """One batch's flow through ``sigma[0] > ... > sigma[steps]``; the last is 0 if the design goes to zero."""

    schedule: rows.Schedule
    scaling: rows.Scaling
    D: CountedDenoiser
    sigma: tuple[float, ...]
    num_steps: int
    noise: Callable[[int, int], Tensor]
    """``noise(step, draw)``: unit Gaussian noise for every image of the batch."""
    lifts: tuple[Lift, ...] = ()
    """For each step the level to which noise is added first; empty if none is."""
    _levels: dict[float, Level] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compute all levels of the grid, and those to which noise lifts them, in one go."""
        sigmas = [*self.sigma, *(lift.sigma for lift in self.lifts)]
        positive = torch.tensor([v for v in sigmas if v > 0], dtype=torch.float64)
        t = self.schedule.sigma_inv(positive)
        for level in self._evaluate(torch.cat([t, t.new_zeros(1)]), [*positive.tolist(), 0.0]):
            self._levels[level.sigma] = level

    def on(self, sigma: tuple[float, ...]) -> Flow:
        """The same flow on other levels, without added noise."""
        return replace(self, sigma=sigma, lifts=(), _levels={})

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.sigma) - 1

    def at(self, sigma: float) -> Level:
        """The level of a noise level of the grid, lifted or not."""
        return self._levels[sigma]

    def at_time(self, t: float) -> Level:
        """The level of any time ``t > 0``."""
        times = torch.tensor([t], dtype=torch.float64)
        return self._evaluate(times, self.schedule.sigma(times).tolist())[0]

    def start(self, i: int) -> float:
        """The noise level from which step ``i`` goes down: ``sigma[i]``, or higher where noise is added."""
        return self.lifts[i].sigma if self.lifts else self.sigma[i]

    def _evaluate(self, t: Tensor, sigmas: list[float]) -> list[Level]:
        schedule, scaling = self.schedule, self.scaling
        columns = (t, schedule.sigma_dot(t), scaling.s(t, schedule), scaling.s_dot(t, schedule))
        # A noise level of the grid stays what it is, free of the rounding of sigma(sigma_inv(.)).
        return [
            Level(time, sigma, sigma_dot, s, s_dot)
            for sigma, time, sigma_dot, s, s_dot in zip(sigmas, *(c.tolist() for c in columns), strict=True)
        ]


def make_flow(design: rows.FlowRows, D: rows.D, num_steps: int, noise: Callable[[int, int], Tensor]) -> Flow:
    """The flow of ``design`` within the limits of ``D``.

    Rounding by ``D`` may make levels equal: a step between such evaluates D and stays where it is.
    """
    lo, hi = float(getattr(D, "sigma_min", 0.0)), float(getattr(D, "sigma_max", math.inf))
    round_sigma: Callable[[Tensor], Tensor] = getattr(D, "round_sigma", lambda sigma: sigma)
    with blaming("time_steps"):
        levels = round_sigma(design.time_steps.within(lo, hi).sigmas(num_steps)).double()
    if not bool((levels > 0).all() and (levels.diff() <= 0).all()):
        text = f"time_steps {design.time_steps}: the levels are not positive and decreasing: {levels.tolist()}"
        raise RowError("time_steps", text)
    with blaming("schedule"):
        schedule = design.schedule.within(lo, hi)
    sigma = (*levels.tolist(), 0.0) if design.to_zero else tuple(levels.tolist())
    lifts = _lifts(design.stochasticity, sigma, num_steps, round_sigma) if design.stochasticity.noisy else ()
    return Flow(schedule, design.scaling, CountedDenoiser(D), sigma, num_steps, noise, lifts)


def _lifts(
    stochasticity: rows.Stochasticity,
    sigma: tuple[float, ...],
    num_steps: int,
    round_sigma: Callable[[Tensor], Tensor],
) -> tuple[Lift, ...]:
    """Algorithm 2, lines 4 and 5, for every step."""
    found = []
    for level in sigma[:-1]:
        hat, S_noise = stochasticity.lift(level, num_steps)
        if hat > level:
            hat = float(round_sigma(torch.tensor(hat, dtype=torch.float64)))
        found.append(Lift(hat, math.sqrt(max(hat**2 - level**2, 0.0)) * S_noise))
    return tuple(found)


def ancestral(sigma: float, following: float, eta: float) -> tuple[float, float]:
    r"""Split a step into one down to :math:`\sigma_\downarrow` and noise :math:`\sigma_\uparrow` back up.

    .. math:: \sigma_\uparrow = \min(b, \eta b \sqrt{1 - b^2/a^2}), \quad
        \sigma_\downarrow = \sqrt{b^2 - \sigma_\uparrow^2}

    with a = ``sigma``, b = ``following``; Song et al. (2020), https://arxiv.org/abs/2010.02502, Eq. 16.
    """
    up = min(following, eta * following * math.sqrt(1 - (following / sigma) ** 2))
    return math.sqrt(following**2 - up**2), up


def tangent_step(x: Tensor, denoised: Tensor, start: Level, end: Level) -> Tensor:
    """Follow the tangent of the flow at ``start``, where D(x; sigma) is ``denoised``, to the time of ``end``."""
    on_x, on_D = start.slope(end.t - start.t)
    return combine(((start.s + on_x) / end.s, x), (on_D / end.s, denoised))


def combine(*terms: tuple[float, Tensor]) -> Tensor:
    """The weighted sum of tensors, in as few passes over memory as there are terms, or one less."""
    if len(terms) == 2:
        (a, x), (b, y) = terms
        if math.isclose(a + b, 1, rel_tol=0, abs_tol=1e-14):
            return torch.lerp(y, x, a)
    (weight, first), *others = terms
    total = first * weight
    for weight, other in others:
        total.add_(other, alpha=weight)
    return total
