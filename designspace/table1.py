r"""The rows of Table 1 of Karras et al. (2022), https://arxiv.org/abs/2206.00364, as types.

Symbols are the paper's: ``t`` time, ``sigma`` the standard deviation of the noise in the unscaled
sample ``x``, ``s`` the scaling, ``z = s(t) x`` the scaled sample in which the ODE is written.
Times and noise levels are float64 tensors on the CPU, of any shape.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from designspace.component import Component, Count

if TYPE_CHECKING:
    from designspace.sampling.converged import Probe
    from designspace.sampling.flow import Flow


class Solver(Component, row="solver"):
    r"""How to follow the flow from :math:`\sigma_0` down to :math:`\sigma_N`.

    The state is the unscaled sample :math:`x = z / s(t)`, shape ``[B, ...]``. A solver keeps no state
    of its own: what a multistep method remembers goes in and out of ``step`` as ``memory``.
    """

    one_step: ClassVar[bool] = True
    """False for multistep methods: noise added between their steps would spoil their history."""
    in_time: ClassVar[bool] = True
    """True if the solver steps in ``t``: only then do the rows schedule and scaling matter."""
    stochastic: ClassVar[bool] = False
    """True if it draws noise of its own: its end points are then right as a distribution only."""
    adaptive: ClassVar[bool] = False
    """True if the number of evaluations depends on the image: the axis ``nfe`` is then refused."""

    @abstractmethod
    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: Any) -> tuple[Tensor, Any]:
        """Carry ``x`` from ``sigma`` (``flow.sigma[i]``, or higher after churn) to ``flow.sigma[i + 1]``.

        ``memory`` is ``None`` in the first step, then what the step before returned.
        """

    def check(self, flow: Flow) -> None:
        """Raise ``ValueError`` if this solver cannot run on the levels of ``flow``."""

    def solve(self, flow: Flow, x: Tensor) -> Iterator[Tensor]:
        """Yield ``x`` at each of ``flow.sigma[1:]``; overridden by solvers that leave the grid."""
        memory = None
        for i in range(flow.steps):
            x, memory = self.step(flow, flow.churn(x, i), i, flow.lifted(i), memory)
            yield x


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


class MeasuredTimeSteps(TimeSteps):
    """Levels that depend on the solver and the denoiser: ``place`` finds them before anything is sampled."""

    images: Count = 32
    """So many are followed to measure; they are the same whatever is sampled afterwards."""

    @abstractmethod
    def start(self) -> TimeSteps:
        """The rule that the search begins with."""

    def sigmas(self, n: int) -> Tensor:
        """The levels that the search begins with."""
        return self.start().sigmas(n)

    @abstractmethod
    def place(self, probe: Probe) -> Tensor:
        """The levels for the design, the denoiser and the images of ``probe``, float64 ``[N]``."""

    @staticmethod
    def given(levels: Tensor) -> TimeSteps:
        """Time steps that give just these levels."""
        return TimeSteps.get("explicit").model_validate({"levels": levels.tolist()})


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


class CSkip(Component, row="c_skip"):
    r"""Skip scaling :math:`c_\mathrm{skip}(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor: ...


class COut(Component, row="c_out"):
    r"""Output scaling :math:`c_\mathrm{out}(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor: ...


class CIn(Component, row="c_in"):
    r"""Input scaling :math:`c_\mathrm{in}(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor: ...


class CNoise(Component, row="c_noise"):
    r"""Noise conditioning :math:`c_\mathrm{noise}(\sigma)`: the noise level as the network sees it.

    A network knows only the levels it was trained on; ``limits`` and ``round_sigma`` tell the sampler.
    """

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor: ...

    def limits(self) -> tuple[float, float]:
        """The smallest and largest noise level that the network supports."""
        return 0.0, float("inf")

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The supported noise level nearest to each of ``sigma``."""
        return sigma


class NoiseDistribution(Component, row="noise_distribution"):
    r"""The distribution of noise levels in training, :math:`p_\mathrm{train}(\sigma)`."""

    @abstractmethod
    def from_uniform(self, u: Tensor) -> Tensor:
        """The noise level for each ``u ~ U(0, 1)``, same shape."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` noise levels, float64 ``[n]``."""
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return self.from_uniform(u.clamp_min(2.0**-54))  # rand can give 0, at which a quantile is infinite


class LossWeight(Component, row="loss_weight"):
    r"""The loss weight :math:`\lambda(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor: ...
