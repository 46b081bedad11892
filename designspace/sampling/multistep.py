"""Multistep solvers: one evaluation a step, and a polynomial through the last ones.

A component gives the weights; what is remembered, and for how long, is here. Levels can repeat where a denoiser rounds
them to its own: such a step goes nowhere.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from designspace.sampling.ancestral import back_up
from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import Solver


class Past(NamedTuple):
    """An evaluation that is kept: the noise level and the denoised sample, or what was made of it."""

    sigma: float
    value: Tensor


History = tuple[Past, ...]
"""The newest first."""


def remember(memory: History | None, sigma: float, value: Tensor) -> History:
    """The evaluations with a new one in front; a repeated level starts anew, it carries no slope."""
    kept = memory or ()
    if kept and kept[0].sigma == sigma:
        kept = ()
    return (Past(sigma, value), *kept)


def allowed_order(flow: Flow, i: int, order: int, lower_order_final: bool) -> int:
    """``order``, or less at the start where the history is short, and at the end on request."""
    return min(order, i + 1, max(flow.steps - i, 1) if lower_order_final else order)


def levels(history: History) -> list[float]:
    """The noise levels of the history."""
    return [past.sigma for past in history]


class Multistep(Solver):
    """They step in sigma, and noise that is added between their steps would spoil the history."""

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False


class NoiseMultistep(Multistep):
    r"""Methods on the noise: :math:`x_{i+1} = x_i + \sum_j w_j e_{i-j}`, :math:`e = (x - D) / \sigma`."""

    ends_with_D: ClassVar[bool] = True
    """The step to sigma = 0 returns D; if False, it is a step like any other."""
    order: int
    """The number of evaluations that a step uses, if there are as many."""

    @abstractmethod
    def weights(self, flow: Flow, sigmas: Sequence[float], following: float) -> list[float]:
        """The weights of e at ``sigmas``, in the step from the first of them to ``following``."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0 and self.ends_with_D:
            return denoised, ()
        history = remember(memory, sigma, x - denoised)  # sigma e: a pass over memory less than e
        del denoised  # as large as the state, and not needed any more
        if following == sigma:
            return x, history
        weights = self.weights(flow, levels(history), following)
        (weight, newest), *older = zip(weights, history, strict=True)
        x = torch.add(x, newest.value, alpha=weight / sigma)
        for weight, past in older:
            x.add_(past.value, alpha=weight / past.sigma)
        return x, history[: self.order - 1]


class _OnData(Multistep):
    r"""Methods on D, of the ODE or with noise.

    .. math:: x_{i+1} = \tfrac{\sigma_\downarrow}{\sigma_i} x_i + \sum_j w_j D_j + \sigma_\uparrow z
    """

    @abstractmethod
    def order_at(self, flow: Flow, i: int) -> int:
        """The number of evaluations that step ``i`` uses, if there are as many."""

    @abstractmethod
    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        """The weights of D at ``sigmas``, in the step from the first of them to ``following``."""

    def split(self, sigma: float, following: float) -> tuple[float, float]:
        r""":math:`\sigma_\downarrow` and :math:`\sigma_\uparrow`; without noise, unless overridden."""
        return following, 0.0

    def advance(self, flow: Flow, x: Tensor, i: int, used: History, following: float) -> Tensor:
        """Step ``i``, from the level of the first of ``used`` to ``following``."""
        sigma = used[0].sigma
        if following == sigma:
            return x
        down, up = self.split(sigma, following)
        terms = zip(self.weights(levels(used), following), (past.value for past in used), strict=True)
        return back_up(flow, combine((down / sigma, x), *terms), i, up)


class DataMultistep(_OnData):
    """Methods on D; the step to sigma = 0 returns it."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0:
            return denoised, ()
        used = remember(memory, sigma, denoised)[: self.order_at(flow, i)]
        return self.advance(flow, x, i, used, following), used[: self.order_at(flow, i + 1) - 1]


class Start(NamedTuple):
    """Where a step began: what its corrector needs once D is known at its end."""

    x: Tensor
    history: History


class CorrectedMultistep(_OnData):
    """Methods on D that take a step again, with the same noise, once D is known at the predicted point.

    It is not evaluated again there. The step to sigma = 0 returns D, and the step before it is not corrected.
    """

    @abstractmethod
    def corrector_order_at(self, flow: Flow, i: int) -> int:
        """The number of evaluations that the corrector of step ``i`` uses beside the one at its end; 0 for none."""

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
