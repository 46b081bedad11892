"""The row ``solver`` as a type, and the rows that sampling needs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, Self

from torch import Tensor

from designspace.registry.component import Component
from designspace.sampling.flow import Flow
from designspace.sampling.rows import FlowRows, TimeSteps


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


class AdaptiveSolver(Solver):
    """A solver that chooses its own steps between the first and the last level, for each image."""

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    adaptive: ClassVar[bool] = True

    @abstractmethod
    def solve(self, flow: Flow, x: Tensor) -> Iterator[Tensor]:
        """Yield ``x`` at the last positive level of ``flow`` and, if the flow goes there, at 0."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: Any) -> tuple[Tensor, Any]:
        """Raises ``TypeError``: an adaptive solver takes no steps between given levels."""
        raise TypeError(f"solver {self.name} chooses its own steps: use solve")


class SamplingRows(FlowRows, Protocol):
    """The rows of the block *Sampling*, as a ``Design`` has them: all that sampling needs of a column of Table 1."""

    @property
    def solver(self) -> Solver:
        """The ODE solver."""

    def with_time_steps(self, time_steps: TimeSteps) -> Self:
        """The same rows with other time steps."""
