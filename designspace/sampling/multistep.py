"""Multistep methods: one evaluation per step, and a polynomial through the last evaluations.

A component supplies the weights of its method. What is remembered, and for how long, is decided here. Levels can be
equal where a denoiser rounds them to those that it supports; a step between equal levels leaves x as it is.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import Solver


class Past(NamedTuple):
    """A remembered evaluation: the noise level, and the denoised sample or a value computed from it."""

    sigma: float
    value: Tensor


History = tuple[Past, ...]
"""Remembered evaluations, newest first."""


def remember(memory: History | None, sigma: float, value: Tensor) -> History:
    """The history with a new evaluation. At a repeated level it starts anew, since equal levels give no slope."""
    kept = memory or ()
    if kept and kept[0].sigma == sigma:
        kept = ()
    return (Past(sigma, value), *kept)


def _is_rule(value: Any) -> Any:
    if type(value) is bool or (type(value) is int and value >= 2):  # 1 would be equal to true in Python, and 0 to false
        return value
    text = f"should be true, false or a number of steps of at least 2, not {value!r}"
    raise PydanticCustomError("lower_order_final", "{text}", {"text": text})


LowerOrderFinal = Annotated[bool | int, BeforeValidator(_is_rule)]
"""The field ``lower_order_final``: whether the last steps are of lower order, the last one of order 1.

``True`` means that they are for any number of steps, ``False`` that they never are, and a number that they are in runs
of fewer steps than that. In diffusers, ``lower_order_final=True`` has no effect on DPM-Solver++ in runs of 15 steps or
more, which is 15 here; for UniPC it applies to any number of steps. A method of order 2 gives the same samples for all
values if its last step goes to sigma = 0, because that step returns D anyway.
"""


def allowed_order(flow: Flow, i: int, order: int, lower_order_final: LowerOrderFinal) -> int:
    """``order``, or less at the start, where the history is short, and with ``lower_order_final`` at the end."""
    lowers = lower_order_final if isinstance(lower_order_final, bool) else flow.steps < lower_order_final
    return min(order, i + 1, max(flow.steps - i, 1) if lowers else order)


def levels(history: History) -> list[float]:
    """The noise levels of the history."""
    return [past.sigma for past in history]


class Multistep(Solver):
    """A multistep method in sigma. Schedule and scaling have no effect, and no noise may be added between steps."""

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False


class NoiseMultistep(Multistep):
    r"""Methods on the noise: :math:`x_{i+1} = x_i + \sum_j w_j e_{i-j}`, :math:`e = (x - D) / \sigma`."""

    ends_with_D: ClassVar[bool] = True
    """Whether the step to sigma = 0 returns D; if not, it is a step like any other."""
    order: int
    """The number of evaluations that a step uses, once the history is long enough."""

    @property
    def order_of_convergence(self) -> int | None:
        return self.order

    @abstractmethod
    def weights(self, flow: Flow, sigmas: Sequence[float], following: float) -> list[float]:
        """The weights of e at ``sigmas``, for the step from the first of them to ``following``."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0 and self.ends_with_D:
            return denoised, ()
        history = remember(memory, sigma, x - denoised)  # sigma e, which takes one pass over memory fewer than e
        del denoised  # frees a tensor of the size of the state
        if following == sigma:
            return x, history
        weights = self.weights(flow, levels(history), following)
        (weight, newest), *older = zip(weights, history, strict=True)
        x = torch.add(x, newest.value, alpha=weight / sigma)
        for weight, past in older:
            x.add_(past.value, alpha=weight / past.sigma)
        return x, history[: self.order - 1]


class _OnData(Multistep):
    r"""Methods on D, for the ODE or for an SDE.

    .. math:: x_{i+1} = \tfrac{\sigma_\downarrow}{\sigma_i} x_i + \sum_j w_j D_j + \sigma_\uparrow z
    """

    @abstractmethod
    def order_at(self, flow: Flow, i: int) -> int:
        """The number of evaluations that step ``i`` uses, if the history is long enough."""

    @abstractmethod
    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        """The weights of D at ``sigmas``, for the step from the first of them to ``following``."""

    def split(self, sigma: float, following: float) -> tuple[float, float]:
        r""":math:`\sigma_\downarrow` and :math:`\sigma_\uparrow`; by default no noise is added."""
        return following, 0.0

    def advance(self, flow: Flow, x: Tensor, i: int, used: History, following: float) -> Tensor:
        """Take step ``i``, from the level of ``used[0]`` to ``following``."""
        sigma = used[0].sigma
        if following == sigma:
            return x
        down, up = self.split(sigma, following)
        terms = zip(self.weights(levels(used), following), (past.value for past in used), strict=True)
        return flow.add_noise(combine((down / sigma, x), *terms), i, up)


class DataMultistep(_OnData):
    """Methods on D without a corrector. The step to sigma = 0 returns D."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0:
            return denoised, ()
        used = remember(memory, sigma, denoised)[: self.order_at(flow, i)]
        return self.advance(flow, x, i, used, following), used[: self.order_at(flow, i + 1) - 1]


class Start(NamedTuple):
    """Where a step began, which its corrector needs once D is known at its end."""

    x: Tensor
    history: History


class CorrectedMultistep(_OnData):
    """Methods on D that repeat a step, with the same noise, once D is known at the predicted point.

    D is not evaluated again at the corrected point. The step to sigma = 0 returns D, and the step before it is not
    corrected.
    """

    @abstractmethod
    def corrector_order_at(self, flow: Flow, i: int) -> int:
        """The number of evaluations before the end of step ``i`` that its corrector uses; 0 if it has no corrector."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: Start | None) -> tuple[Tensor, Start | None]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0:
            return denoised, None
        used = memory.history[: self.corrector_order_at(flow, i - 1)] if memory else ()
        if memory and used and used[0].sigma != sigma:
            x = self.advance(flow, memory.x, i - 1, (*used, Past(sigma, denoised)), sigma)
        history = remember(memory and memory.history, sigma, denoised)
        kept = history[: max(self.order_at(flow, i + 1) - 1, self.corrector_order_at(flow, i))]
        return self.advance(flow, x, i, history[: self.order_at(flow, i)], following), Start(x, kept)


def lagrange(nodes: Sequence[float]) -> list[list[float]]:
    """The Lagrange polynomials, each 1 at one of the distinct nodes and 0 at the others, as ascending coefficients."""
    basis = []
    for j, node in enumerate(nodes):
        polynomial = [1.0]
        for other in (*nodes[:j], *nodes[j + 1 :]):  # times (u - other) / (node - other)
            terms = zip((0.0, *polynomial), (*polynomial, 0.0), strict=True)
            polynomial = [(lower - other * same) / (node - other) for lower, same in terms]
        basis.append(polynomial)
    return basis


def integrals(nodes: Sequence[float], start: float, end: float, rate: float = 0.0) -> list[float]:
    r"""For each node j, :math:`\int_a^b e^{r (u - b)} l_j(u)\, du` with the Lagrange polynomial :math:`l_j`."""
    # Shifted to the start and scaled by the step, so that no powers of large numbers are subtracted.
    step = end - start
    moments = exponential_moments(len(nodes), rate * step)
    basis = lagrange([(node - start) / step for node in nodes])
    return [step * math.fsum(c * m for c, m in zip(polynomial, moments, strict=True)) for polynomial in basis]


def exponential_moments(count: int, z: float) -> list[float]:
    r""":math:`m_k = \int_0^1 v^k e^{z (v - 1)}\, dv` for k < count; by parts, :math:`z\, m_k = 1 - k\, m_{k-1}`."""
    if abs(z) < 1.0:  # upwards, small differences would be divided by z; downwards, errors of the start die out
        moments = [0.0]
        for k in range(count + 18, 0, -1):
            moments.append((1 - z * moments[-1]) / k)
        return moments[: -count - 1 : -1]
    moments = [-math.expm1(-z) / z]
    for k in range(1, count):
        moments.append((1 - k * moments[-1]) / z)
    return moments
