r"""The rows of the block *Sampling* of Table 1 of Karras et al. (2022), https://arxiv.org/abs/2206.00364, as types.

Symbols are the paper's: ``t`` time, ``sigma`` the standard deviation of the noise in the unscaled
sample ``x``, ``s`` the scaling, ``z = s(t) x`` the scaled sample in which the ODE is written.
Times and noise levels are float64 tensors on the CPU, of any shape.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol, Self

from torch import Tensor

from designspace.registry.component import Component

D = Callable[[Tensor, Tensor], Tensor]
"""``D(x, sigma)``: noisy samples ``[B, ...]`` and their noise level, float64 on the CPU, to the expected clean samples
``[B, ...]``. It may carry ``sigma_min``, ``sigma_max`` and ``round_sigma``; it must not write to x.

``sigma`` is 0-dim, one level for all, except where a solver has each image at a level of its own: ``rk45`` gives
``[B]``. A D for both reshapes it: ``sigma.reshape(-1, *[1] * (x.ndim - 1))``."""


class _Ranged(Component):
    """A row with a range of noise levels, of which a denoiser may know a part only."""

    def common(self, low: float, high: float, lo: float, hi: float) -> tuple[float, float]:
        """The part of its own range, ``low`` to ``high``, in ``[lo, hi]``. Raises ``ValueError`` if there is none."""
        if max(low, lo) >= min(high, hi):
            text = f"{low:.4g} to {high:.4g} is outside of the denoiser's range, {lo} to {hi}"
            raise ValueError(f"{self.row} {self}: {text}")
        return max(low, lo), min(high, hi)


class TimeSteps(_Ranged, row="time_steps"):
    r"""Where the solver stops: :math:`\sigma_0 > \dots > \sigma_{N-1} > \sigma_N = 0`."""

    @abstractmethod
    def sigmas(self, n: int) -> Tensor:
        """The ``n`` positive noise levels, decreasing, float64 ``[n]``; without the final 0.

        Raises ``ValueError`` if ``n`` levels cannot be had.
        """

    def within(self, lo: float, hi: float) -> Self:
        """The same rule on the part of its range that lies in ``[lo, hi]``, a denoiser's limits."""
        fields = type(self).model_fields
        if not {"sigma_min", "sigma_max"} <= set(fields):
            return self
        low, high = float(getattr(self, "sigma_min")), float(getattr(self, "sigma_max"))  # noqa: B009
        if lo <= low and high <= hi:
            return self
        low, high = self.common(low, high, lo, hi)
        return self.model_validate({**dict(self), "sigma_min": low, "sigma_max": high})


class Schedule(_Ranged, row="schedule"):
    r"""The noise level :math:`\sigma(t)`, increasing, with :math:`\sigma(0) = 0`."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        r""":math:`\sigma(t)`."""

    @abstractmethod
    def sigma_dot(self, t: Tensor) -> Tensor:
        r""":math:`\dot\sigma(t)`."""

    @abstractmethod
    def sigma_inv(self, sigma: Tensor) -> Tensor:
        r""":math:`\sigma^{-1}(\sigma)`, the time of a noise level."""

    def within(self, lo: float, hi: float) -> Self:
        """The schedule for a denoiser that supports noise levels in ``[lo, hi]`` only."""
        return self


class Scaling(Component, row="scaling"):
    r"""The signal scale :math:`s(t)`, with :math:`s(0) = 1`; it may depend on the schedule (VP does)."""

    @abstractmethod
    def s(self, t: Tensor, schedule: Schedule) -> Tensor:
        r""":math:`s(t)`."""

    @abstractmethod
    def s_dot(self, t: Tensor, schedule: Schedule) -> Tensor:
        r""":math:`\dot s(t)`."""


class Stochasticity(Component, row="stochasticity"):
    """How much fresh noise each step of a one-step solver adds before it steps down."""

    noisy: ClassVar[bool] = True
    """False if it never adds any: multistep solvers allow no other."""

    @abstractmethod
    def lift(self, sigma: float, num_steps: int) -> tuple[float, float]:
        r""":math:`(\hat\sigma, S_\mathrm{noise})`: the level to rise to from ``sigma``, and the std of its noise.

        It may be above a denoiser's ``sigma_max``, which bounds the levels of the grid alone.
        """


class FlowRows(Protocol):
    """The rows of the block *Sampling* that a flow is made of, as a ``Design`` has them."""

    @property
    def time_steps(self) -> TimeSteps:
        """Where the solver stops."""

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


class SupportedLevels(Protocol):
    """Which noise levels a network knows, as the row ``c_noise`` says."""

    def limits(self) -> tuple[float, float]:
        """The smallest and largest noise level."""

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The supported noise level nearest to each of ``sigma``."""
