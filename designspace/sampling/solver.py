"""The row ``solver`` of Table 1, and the rows that sampling needs."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, Self

from torch import Tensor

from designspace.registry.calling import calling, described, require_like, unmet
from designspace.registry.component import Component, NonNegative
from designspace.sampling.flow import Flow
from designspace.sampling.rows import FlowRows, Start, TimeSteps


class Solver(Component, row="solver"):
    r"""How to follow the flow from :math:`\sigma_0` down to :math:`\sigma_N`.

    The state is the unscaled sample :math:`x = z / s(t)`, shape ``[B, ...]``. A solver is immutable: what a multistep
    method remembers is passed from step to step as ``memory``.
    """

    one_step: ClassVar[bool] = True
    """False for multistep methods, whose history would be invalidated by noise that is added between steps."""
    in_time: ClassVar[bool] = True
    """True if the solver steps in ``t``. Otherwise the rows schedule and scaling have no effect."""
    stochastic: ClassVar[bool] = False
    """True if the solver draws noise: its samples then converge in distribution only."""
    in_order: ClassVar[bool] = True
    """False if a step returns to higher noise levels."""
    adaptive: ClassVar[bool] = False
    """True if the number of evaluations depends on the image, so that it cannot be chosen by the axis ``nfe``."""

    @property
    def order_of_convergence(self) -> int | None:
        """The power p in the error O(h^p) for step size h, in exact arithmetic and once the history is complete.

        A class declares it as a class variable, or as a property if it depends on fields. It is ``None`` for solvers
        that draw noise or choose their own steps, and for those that declare nothing.
        """
        return None

    @classmethod
    def remark(cls) -> str:
        """The order of convergence, for ``designspace show`` and the documentation."""
        if any(field.is_required() for field in cls.model_fields.values()):
            return ""
        order = cls().order_of_convergence
        varies = isinstance(inspect.getattr_static(cls, "order_of_convergence"), property)
        return f"Order of convergence: {order}{' with the default fields' if varies else ''}." if order else ""

    @abstractmethod
    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: Any) -> tuple[Tensor, Any]:
        """Carry ``x`` from ``sigma`` (``flow.sigma[i]``, or higher after churn) to ``flow.sigma[i + 1]``.

        ``memory`` is ``None`` in the first step, then what the previous step returned.
        """

    def check(self, flow: Flow) -> None:
        """Raise ``ValueError`` if this solver cannot run on the levels of ``flow``."""


def take_step(solver: Solver, flow: Flow, x: Tensor, i: int, sigma: float, memory: Any) -> tuple[Tensor, Any]:
    """Call ``solver.step``. Raises ``BrokenRowError`` if it does not return samples like ``x`` and a memory."""
    with calling(solver):
        result = solver.step(flow, x, i, sigma, memory)
    if not isinstance(result, tuple) or len(result) != 2:
        unmet(solver, "step", "the pair (x, memory)", described(result))
    return require_like(solver, f"x after step {i + 1}", result[0], x), result[1]


class AdaptiveSolver(Solver):
    """A solver that chooses its own steps between the first and the last level, for each image."""

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    adaptive: ClassVar[bool] = True

    @abstractmethod
    def solve(self, flow: Flow, x: Tensor) -> Iterator[Tensor]:
        """Yield ``x`` at the last positive level of ``flow`` and then, if the flow ends at 0, at 0."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: Any) -> tuple[Tensor, Any]:
        """Raise ``TypeError``: an adaptive solver takes no steps between given levels."""
        raise TypeError(f"solver {self.name} chooses its own steps: use solve")


def solved(solver: AdaptiveSolver, flow: Flow, x: Tensor) -> Iterator[Tensor]:
    """Call ``solver.solve``. Raises ``BrokenRowError`` if it does not yield samples like ``x`` at each end."""
    ends = 1 + (flow.sigma[-1] == 0)
    with calling(solver):
        states: Iterator[object] = iter(solver.solve(flow, x))
    found = 0
    while found <= ends:
        with calling(solver):
            result = next(states, None)
        if result is None:
            break
        found += 1
        yield require_like(solver, f"x number {found} of solve", result, x)
    if found != ends:
        at = "at the last positive level" + (" and at 0" if ends == 2 else "")
        unmet(solver, "solve", f"x {at}", "more" if found > ends else f"{found} of them")


class Ancestral(Solver):
    """A one-step method of the ODE that steps below the next level and adds noise to return to it.

    With ``eta`` = 0 it is the method of the ODE. Schedule and scaling have no effect.
    """

    stochastic: ClassVar[bool] = True
    in_time: ClassVar[bool] = False
    eta: NonNegative = 1.0

    @abstractmethod
    def descend(self, flow: Flow, x: Tensor, sigma: float, down: float) -> Tensor:
        r"""The step of the ODE from ``sigma`` to :math:`\sigma_\downarrow`, which is 0 in the last step."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        down, up = ancestral(sigma, flow.sigma[i + 1], self.eta)
        return flow.add_noise(self.descend(flow, x, sigma, down), i, up), None


def ancestral(sigma: float, following: float, eta: float) -> tuple[float, float]:
    r"""Split a step into one of the ODE to :math:`\sigma_\downarrow` and noise :math:`\sigma_\uparrow` that is added.

    .. math:: \sigma_\uparrow = \min(b, \eta b \sqrt{1 - b^2/a^2}), \quad
        \sigma_\downarrow = \sqrt{b^2 - \sigma_\uparrow^2}

    with a = ``sigma`` and b = ``following``. Song et al. (2020), https://arxiv.org/abs/2010.02502, Eq. 16.
    """
    up = min(following, eta * following * math.sqrt(1 - (following / sigma) ** 2))
    return math.sqrt(following**2 - up**2), up


class SamplingRows(FlowRows, Protocol):
    """The rows of the block *Sampling*, which are all that sampling needs. A ``Design`` has them."""

    @property
    def solver(self) -> Solver:
        """The ODE solver."""

    def with_time_steps(self, time_steps: TimeSteps) -> Self:
        """The same rows with other time steps."""

    def with_start(self, start: Start) -> Self:
        """The same rows with another start."""
