r"""The rows of the block *Sampling* of Table 1 of Karras et al. (2022), https://arxiv.org/abs/2206.00364.

Symbols are those of the paper: ``t`` is time, ``sigma`` is the standard deviation of the noise in the unscaled sample
``x``, ``s`` is the scaling, and ``z = s(t) x`` is the scaled sample in which the ODE is written. Times and noise levels
are float64 tensors on the CPU, of any shape. The row ``solver`` is defined in ``solver.py``.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor

from designspace.errors import RowError
from designspace.registry.calling import elementwise
from designspace.registry.component import Component
from designspace.sampling.inverse import inverse

D = Callable[[Tensor, Tensor], Tensor]
"""A denoiser ``D(x, sigma)``: it maps noisy samples ``[B, ...]`` and their noise level to the expected clean samples.

``sigma`` is float64 on the CPU. It is 0-dimensional, one level for the whole batch, except with solvers that keep each
image at a level of its own: ``rk45`` passes ``[B]``. A denoiser that supports both reshapes it:
``sigma.reshape(-1, *[1] * (x.ndim - 1))``. It may have the attributes ``sigma_min``, ``sigma_max``, ``round_sigma`` and
``c_in``, and it must not modify ``x``."""
Start = Literal["sigma_max", "unit"]
r"""What unit Gaussian latents n become: :math:`x_0 = \sigma_0 n`, or :math:`x_0 = n / c_\mathrm{in}(\sigma_0)`."""


class _Ranged(Component):
    """A row with a range of noise levels, which can be wider than the range that a denoiser supports."""

    def common(self, low: float, high: float, lo: float, hi: float) -> tuple[float, float]:
        """The part of the range ``[low, high]`` that lies in ``[lo, hi]``. Raises ``ValueError`` if there is none."""
        if max(low, lo) >= min(high, hi):
            text = f"{low:.4g} to {high:.4g} is outside the denoiser's range, {lo} to {hi}"
            raise ValueError(f"{self.row} {self}: {text}")
        return max(low, lo), min(high, hi)


class TimeSteps(_Ranged, row="time_steps"):
    r"""The noise levels between which the solver steps: :math:`\sigma_0 > \dots > \sigma_{N-1} > \sigma_N = 0`."""

    @abstractmethod
    def sigmas(self, n: int) -> Tensor:
        """The ``n`` positive noise levels in decreasing order, float64 ``[n]``, without the final 0.

        Raises ``ValueError`` if there are fewer than ``n`` such levels, or if ``n`` is below 2.
        """

    def within(self, lo: float, hi: float) -> Self:
        """The same rule, restricted to ``[lo, hi]``, the noise levels that a denoiser supports."""
        fields = type(self).model_fields
        if not {"sigma_min", "sigma_max"} <= set(fields):
            return self
        low, high = float(getattr(self, "sigma_min")), float(getattr(self, "sigma_max"))  # noqa: B009
        if lo <= low and high <= hi:
            return self
        low, high = self.common(low, high, lo, hi)
        return self.model_validate({**dict(self), "sigma_min": low, "sigma_max": high})


class Schedule(_Ranged, row="schedule"):
    r"""The noise level :math:`\sigma(t)`, which increases from :math:`\sigma(0) = 0`.

    A class has to define only ``sigma``, elementwise and in differentiable PyTorch operations. It may define
    ``sigma_dot`` and ``sigma_inv`` as well: closed forms are faster than differentiation and bisection.
    """

    t_max: ClassVar[float] = math.inf
    """The end of the time axis. ``sigma`` is not evaluated beyond it."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        r""":math:`\sigma(t)`."""

    def sigma_dot(self, t: Tensor) -> Tensor:
        r""":math:`\dot\sigma(t)`, by automatic differentiation unless a class defines it."""
        slope = _derivative(self._sigma, t)
        if slope is None:
            raise ValueError(f"schedule {self}: PyTorch cannot differentiate sigma(t); define sigma_dot as well")
        return slope

    def sigma_inv(self, sigma: Tensor) -> Tensor:
        r""":math:`\sigma^{-1}(\sigma)`, the time of a noise level, by bisection unless a class defines it.

        Raises ``RowError``, a ``ValueError``, for noise levels that :math:`\sigma(t)` does not reach, and if it is not
        0 at t = 0, is not increasing, or jumps.
        """
        try:
            return inverse(self._sigma, sigma, self.t_max)
        except RowError:
            raise
        except ValueError as error:
            raise RowError("schedule", f"schedule {self}: {error}") from error

    def within(self, lo: float, hi: float) -> Self:
        """The schedule to use with a denoiser that supports the noise levels ``[lo, hi]`` only."""
        return self

    def _sigma(self, t: Tensor) -> Tensor:
        return elementwise(self, "sigma(t)", self.sigma, t)


class Scaling(Component, row="scaling"):
    r"""The signal scale :math:`s(t)`, with :math:`s(0) = 1`; it may depend on the schedule, as that of VP does.

    A class has to define only ``s``, elementwise and in differentiable PyTorch operations.
    """

    @abstractmethod
    def s(self, t: Tensor, schedule: Schedule) -> Tensor:
        r""":math:`s(t)`."""

    def s_dot(self, t: Tensor, schedule: Schedule) -> Tensor:
        r""":math:`\dot s(t)`, by automatic differentiation unless a class defines it."""
        slope = _derivative(lambda times: elementwise(self, "s(t)", partial(self.s, schedule=schedule), times), t)
        if slope is None and bool((self.s(t, schedule) == 1).all()):
            return torch.zeros_like(t)
        if slope is None:
            raise ValueError(f"scaling {self}: PyTorch cannot differentiate s(t); define s_dot as well")
        return slope


class Stochasticity(Component, row="stochasticity"):
    """How much fresh noise is added before each step of a one-step solver."""

    noisy: ClassVar[bool] = True
    """False if noise is never added, as multistep solvers require."""

    @abstractmethod
    def lift(self, sigma: float, num_steps: int) -> tuple[float, float]:
        r""":math:`(\hat\sigma, S_\mathrm{noise})`: the level to rise to, and the factor on the added noise.

        The level may exceed the ``sigma_max`` of a denoiser, which limits the levels of the time steps only.
        """


class FlowRows(Protocol):
    """The rows that define a flow and its levels. A ``Design`` has them."""

    @property
    def time_steps(self) -> TimeSteps:
        """The noise levels between which the solver steps."""

    @property
    def schedule(self) -> Schedule:
        """The noise level as a function of time."""

    @property
    def scaling(self) -> Scaling:
        """The signal scale as a function of time."""

    @property
    def stochasticity(self) -> Stochasticity:
        """The noise added before each step."""

    @property
    def to_zero(self) -> bool:
        """Whether the last step goes to sigma = 0."""

    @property
    def start(self) -> Start:
        """What the latents are multiplied by; see ``make_flow``."""


class SupportedLevels(Protocol):
    """The noise levels that a network supports. The row ``c_noise`` has these methods."""

    def limits(self) -> tuple[float, float]:
        """The smallest and the largest noise level."""

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The supported noise level nearest to each of ``sigma``."""


JUST_ABOVE_ZERO = 1e-12
"""Derivatives at t = 0 are taken at this time instead, since functions such as the square root have none at 0."""


def _derivative(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor | None:
    """The derivative of an elementwise function, or ``None`` if PyTorch does not see that it depends on ``t``."""
    with torch.inference_mode(False), torch.enable_grad():
        times = torch.where(t == 0, JUST_ABOVE_ZERO, t.detach().double()).requires_grad_()
        value = function(times)
        if not value.requires_grad:
            return None
        slope: Tensor = torch.autograd.grad(value.sum(), times)[0]
        return slope
