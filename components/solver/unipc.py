import math
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field
from torch import Tensor

from designspace.flow import Flow, combine
from designspace.multistep import History, allowed_order, remember
from designspace.table1 import Solver


class Start(NamedTuple):
    """Where a step began: what its corrector needs once D is known at its end."""

    x: Tensor
    history: History
    order: int


class UniPC(Solver, name="unipc"):
    r"""Order ``order`` + 1 with one evaluation a step: a predictor, and a corrector that reuses the next evaluation.

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i - (e^{-h} - 1) D_i
        - B(h) \sum_k \rho_k \frac{D_{i-k} - D_i}{r_k},
        \qquad h = \ln\tfrac{\sigma_i}{\sigma_{i+1}}, \quad r_k = \tfrac{\lambda_{i-k} - \lambda_i}{h}

    with B(h) = -h (``bh1``) or :math:`e^{-h} - 1` (``bh2``) and the coefficients :math:`\rho` that give the order;
    the corrector's sum includes :math:`D_{i+1}`, evaluated at the predicted point and not again. ``order`` is 1 to
    3, lower at the start and with ``lower_order_final`` at the end; the last step is not corrected and the step to
    sigma = 0 returns D. Schedule and scaling do not matter. Zhao et al. (2023), https://arxiv.org/abs/2302.04867.
    """

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    order: Annotated[int, Field(ge=1, le=3)] = 3
    variant: Literal["bh1", "bh2"] = "bh2"
    lower_order_final: bool = True

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: Start | None) -> tuple[Tensor, Start | None]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0:
            return denoised, None
        if memory is not None:
            x = self._correct(memory, sigma, denoised)
        history = remember(memory and memory.history, sigma, denoised, self.order)
        order = min(len(history), allowed_order(flow, i, self.order, self.lower_order_final))
        used = history[:order]
        return self._advance(x, used, following, self._rho(used, following, None)), Start(x, history, order)

    def _correct(self, start: Start, sigma: float, denoised: Tensor) -> Tensor:
        used = start.history[: start.order]
        if used[0].sigma == sigma:
            return start.x
        rho = self._rho(used, sigma, denoised)
        last = -_B(self.variant, used[0].sigma, sigma) * rho[-1]
        x = self._advance(start.x, used, sigma, rho[:-1], last)
        return x.add_(denoised, alpha=last)

    def _advance(self, x: Tensor, used: History, following: float, rho: list[float], last: float = 0.0) -> Tensor:
        """The step with coefficients ``rho``; ``last`` is taken from the newest D for a point still to be added."""
        newest, h = used[0], math.log(used[0].sigma / following)
        B = _B(self.variant, newest.sigma, following)
        r = [math.log(newest.sigma / past.sigma) / h for past in used[1:]]
        weights = [-B * p / q for p, q in zip(rho, r, strict=True)]
        own = -math.expm1(-h) - sum(weights) - last
        others = ((weight, past.value) for weight, past in zip(weights, used[1:], strict=True))
        return combine((following / newest.sigma, x), (own, newest.value), *others)

    def _rho(self, used: History, following: float, end: Tensor | None) -> list[float]:
        """The coefficients for the past evaluations and, with ``end``, for the one at the end of the step."""
        h = math.log(used[0].sigma / following)
        r = [math.log(used[0].sigma / past.sigma) / h for past in used[1:]] + ([1.0] if end is not None else [])
        if len(r) == 1 and (end is not None or len(used) == 2):
            return [0.5]  # as published: of the same order as the solution of the system
        phi, target = math.expm1(-h) / -h - 1, []
        for k in range(1, len(r) + 1):
            target.append(phi * math.factorial(k) / _B(self.variant, used[0].sigma, following))
            phi = phi / -h - 1 / math.factorial(k + 1)
        return [float(v) for v in np.linalg.solve(np.vander(r, increasing=True).T, target)] if r else []


def _B(variant: str, sigma: float, following: float) -> float:
    h = math.log(sigma / following)
    return -h if variant == "bh1" else math.expm1(-h)
