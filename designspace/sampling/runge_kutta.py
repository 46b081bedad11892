r"""Explicit Runge-Kutta methods in the time of the schedule, each given by its tableau.

With the slopes :math:`d_k = \frac{dz}{dt}(z_k, t_k)` of Eq. 4, the stages and the step from :math:`t_i` over h are

.. math:: z_k = z_i + h \sum_{j<k} a_{kj} d_j, \qquad t_k = t_i + h \sum_{j<k} a_{kj}, \qquad
    z_{i+1} = z_i + h \sum_k b_k d_k.

Eq. 4 is linear in z and D, so every stage is a weighted sum of :math:`x_i` and the denoiser's outputs so far. Only
these are kept: the weights are computed first, as Python floats, and each stage takes one pass over memory per term.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from designspace.sampling.flow import Flow, Level, combine
from designspace.sampling.solver import Solver


class Tableau(NamedTuple):
    """The coefficients of an explicit method."""

    rows: tuple[tuple[float, ...], ...]
    """The coefficients a: one row per stage after the first, of growing length."""
    weights: tuple[float, ...]
    """The weights b, one per stage."""
    euler_last: bool = True
    """Whether the step to t = 0 is Euler's even if no stage lies at t = 0."""


EULER = Tableau((), (1.0,))


class _Stage(NamedTuple):
    """An evaluated stage: its level, and the weights of the step's start and of earlier outputs of D in its sample."""

    level: Level
    weights: Sequence[float]


class RungeKutta(Solver):
    """An explicit Runge-Kutta method.

    The slope at t = 0 is undefined. Where a stage would need it, the step is Euler's, which for sigma = t and s = 1
    returns the denoiser's output.
    """

    @property
    @abstractmethod
    def tableau(self) -> Tableau:
        """The coefficients of the method."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        start, end = flow.at(sigma), flow.at(flow.sigma[i + 1])
        tableau = self.tableau
        if end.t == 0 and (tableau.euler_last or _last_node(tableau) >= 1):
            tableau = EULER
        h, denoised = end.t - start.t, [flow.D(x, sigma)]
        stages = [_Stage(start, [1.0])]
        for row in tableau.rows:
            level = _level(flow, start, end, sum(row))
            stages.append(_Stage(level, _weights(h, row, stages, level.s)))
            # The sample of a stage is not needed once D is evaluated there, so it gets no name.
            denoised.append(flow.D(combine(*zip(stages[-1].weights, (x, *denoised), strict=True)), level.sigma))
        return combine(*zip(_weights(h, tableau.weights, stages, end.s), (x, *denoised), strict=True)), None

    def check(self, flow: Flow) -> None:
        """Raise ``ValueError`` if a stage of a step that does not end at 0 lies at a negative time, or at 0."""
        node = _last_node(self.tableau)
        for i in range(flow.steps if flow.sigma[-1] > 0 else flow.steps - 1):
            a, b = flow.at(flow.start(i)), flow.at(flow.sigma[i + 1])
            if a.t + node * (b.t - a.t) <= 0:
                raise ValueError(
                    f"solver {self}: the step from sigma = {a.sigma:.4g} to {b.sigma:.4g} would evaluate the denoiser"
                    f" at a negative noise level; use more than {flow.num_steps} steps, or a solver whose stages do"
                    " not go beyond the end of the step"
                )


def _last_node(tableau: Tableau) -> float:
    """The position of the latest stage, as a fraction of the step."""
    return max((sum(row) for row in tableau.rows), default=0.0)


def _level(flow: Flow, start: Level, end: Level, node: float) -> Level:
    return end if node == 1 else flow.at_time(start.t + node * (end.t - start.t))


def _weights(h: float, row: Sequence[float], stages: Sequence[_Stage], s: float) -> list[float]:
    """The weights of the step's start and of the outputs of D in ``x = z / s``, with ``z`` by a row of the tableau."""
    total = [stages[0].level.s] + [0.0] * len(stages)
    for k, (share, stage) in enumerate(zip(row, stages, strict=True), start=1):
        on_x, total[k] = stage.level.slope(share * h)
        for j, weight in enumerate(stage.weights):
            total[j] += on_x * weight
    return [weight / s for weight in total]
