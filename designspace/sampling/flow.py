r"""The flow that a solver follows: the probability flow ODE, Eq. 4 of Karras et al. (2022).

.. math:: \frac{dz}{dt} = \left(\frac{\dot\sigma}{\sigma} + \frac{\dot s}{s}\right) z
    - \frac{\dot\sigma s}{\sigma} D\!\left(\frac{z}{s}; \sigma\right), \qquad z = s(t)\,x.

All coefficients are Python floats, computed in float64. A step is therefore a few operations on the images, and the
host never waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from designspace.errors import RowError
from designspace.registry.calling import calling, elementwise, require_tensor, unmet
from designspace.registry.component import Component
from designspace.sampling import rows
from designspace.sampling.counted import CountedDenoiser


class Level(NamedTuple):
    """A point in time, with the coefficients of Eq. 4 there."""

    t: float
    sigma: float
    sigma_dot: float
    s: float
    s_dot: float

    def slope(self, h: float) -> tuple[float, float]:
        """The weights of ``x`` and ``D(x; sigma)`` in ``h dz/dt``."""
        pull = h * self.sigma_dot / self.sigma * self.s  # h first: the last step of sigma = t gives exactly -1
        return pull + h * self.s_dot, -pull


class Lift(NamedTuple):
    """The noise that is added before a step."""

    sigma: float
    """The noise level after the noise is added."""
    std: float
    """The standard deviation of the added noise; 0 if none is added."""


@dataclass(frozen=True)
class Flow:
    """The flow of one batch through the levels ``sigma[0] > ... > sigma[steps]``.

    The last level is 0 if the design goes to zero.
    """

    schedule: rows.Schedule
    scaling: rows.Scaling
    D: CountedDenoiser
    sigma: tuple[float, ...]
    num_steps: int
    noise: Callable[[int, int], Tensor]
    """``noise(step, draw)``: unit Gaussian noise for the batch."""
    spread: float
    """The standard deviation of x at the first level: what unit Gaussian latents are multiplied by."""
    lifts: tuple[Lift, ...] = ()
    """The noise added before each step; empty if the design adds none."""
    _levels: dict[float, Level] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compute all levels of the grid, and those that added noise leads to, in one call."""
        self._compute([*self.sigma, *(lift.sigma for lift in self.lifts)])

    def _compute(self, sigmas: list[float]) -> None:
        positive = torch.tensor([v for v in sigmas if v > 0 and v not in self._levels], dtype=torch.float64)
        t = elementwise(self.schedule, "sigma_inv(sigma)", self.schedule.sigma_inv, positive)
        for level in self._evaluate(torch.cat([t, t.new_zeros(1)]), [*positive.tolist(), 0.0]):
            self._levels[level.sigma] = level

    def on(self, sigma: tuple[float, ...]) -> Flow:
        """The same flow through other levels, without added noise."""
        return replace(self, sigma=sigma, lifts=())

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.sigma) - 1

    def at(self, sigma: float) -> Level:
        """The point in time of any noise level. Levels of the grid are computed beforehand."""
        if sigma not in self._levels:
            self._compute([sigma])
        return self._levels[sigma]

    def at_time(self, t: float) -> Level:
        """The coefficients at any time ``t > 0``."""
        times = torch.tensor([t], dtype=torch.float64)
        sigma = elementwise(self.schedule, "sigma(t)", self.schedule.sigma, times)
        return self._evaluate(times, sigma.tolist())[0]

    def start(self, i: int) -> float:
        """The noise level from which step ``i`` goes down: ``sigma[i]``, or higher where noise is added."""
        return self.lifts[i].sigma if self.lifts else self.sigma[i]

    def add_noise(self, x: Tensor, i: int, std: float, draw: int = 0) -> Tensor:
        """``x`` plus noise of standard deviation ``std``, from draw ``draw`` of step ``i``; for 0, nothing is drawn."""
        return torch.add(x, self.noise(i, draw), alpha=std) if std > 0 else x

    def _evaluate(self, t: Tensor, sigmas: list[float]) -> list[Level]:
        schedule, scaling = self.schedule, self.scaling
        sigma_dot = elementwise(schedule, "sigma_dot(t)", schedule.sigma_dot, t)
        s = elementwise(scaling, "s(t)", partial(scaling.s, schedule=schedule), t)
        s_dot = elementwise(scaling, "s_dot(t)", partial(scaling.s_dot, schedule=schedule), t)
        # The given noise levels are used, not sigma(t), so that levels of the grid have no rounding errors.
        columns = zip(t.tolist(), sigmas, sigma_dot.tolist(), s.tolist(), s_dot.tolist(), strict=True)
        return [Level(*row) for row in columns]


def make_flow(design: rows.FlowRows, D: rows.D, num_steps: int, noise: Callable[[int, int], Tensor]) -> Flow:
    """The flow of ``design`` within the limits of ``D``.

    Rounding by ``D`` can make levels equal. A step between equal levels evaluates D and leaves x as it is. Latents are
    multiplied by the first level or, with ``start: unit``, by 1 / c_in of it, so that the first input of the network is
    unit noise. The row c_in is then that of ``D``, if it has the attribute, or else that of the design.
    """
    lo, hi = float(getattr(D, "sigma_min", 0.0)), float(getattr(D, "sigma_max", math.inf))
    rule = design.time_steps
    with calling(rule, may_refuse=True):
        given = rule.within(lo, hi).sigmas(num_steps)
    levels = rounding(D)(require_tensor(rule, f"sigmas({num_steps})", given, (num_steps,))).double()
    if not bool((levels > 0).all() and (levels.diff() <= 0).all()):
        unmet(rule, f"sigmas({num_steps})", "positive levels in decreasing order", str(levels.tolist()))
    with calling(design.schedule, may_refuse=True):
        schedule = design.schedule.within(lo, hi)
    sigma = (*levels.tolist(), 0.0) if design.to_zero else tuple(levels.tolist())
    spread = sigma[0] if design.start == "sigma_max" else _spread_of_unit_input(design, D, sigma[0])
    return Flow(schedule, design.scaling, CountedDenoiser(D), sigma, num_steps, noise, spread)


def _spread_of_unit_input(design: rows.FlowRows, D: rows.D, sigma: float) -> float:
    c_in = getattr(D, "c_in", None) or getattr(design, "c_in", None)
    if c_in is None:
        raise ValueError("start: unit needs the row c_in, of the denoiser or of the design")
    with calling(c_in) if isinstance(c_in, Component) else nullcontext():
        value = float(c_in(torch.tensor(sigma, dtype=torch.float64)))
    if not 0 < value < math.inf:
        raise RowError("c_in", f"start: unit divides by c_in, which is {value:g} at sigma = {sigma:g}")
    return 1 / value


def rounding(D: rows.D) -> Callable[[Tensor], Tensor]:
    """The function that rounds noise levels to those that ``D`` supports."""
    round_sigma: Callable[[Tensor], Tensor] = getattr(D, "round_sigma", lambda sigma: sigma)
    return round_sigma


def combine(*terms: tuple[float, Tensor]) -> Tensor:
    """The weighted sum of tensors, in at most one pass over memory per term."""
    if len(terms) == 2:
        (a, x), (b, y) = terms
        if math.isclose(a + b, 1, rel_tol=0, abs_tol=1e-14):
            return torch.lerp(y, x, a)
    (weight, first), *others = terms
    total = first * weight
    for weight, other in others:
        total.add_(other, alpha=weight)
    return total
