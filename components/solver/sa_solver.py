import math
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from designspace.component import NonNegative
from designspace.flow import Flow, combine
from designspace.multistep import History, Past, levels, remember, weighted
from designspace.quadrature import exponential_integrals
from designspace.table1 import Solver


class Start(NamedTuple):
    """Where a step began: what its corrector needs once D is known at its end."""

    x: Tensor
    history: History


class SASolver(Solver, name="sa_solver"):
    r"""Stochastic Adams: a predictor of order ``order`` and a corrector of order ``corrector_order`` + 1 (0: none).

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} e^{-\tau^2 h} x_i + (1 + \tau^2) \sum_j D_j
        \int_{\lambda_i}^{\lambda_{i+1}} e^{(1+\tau^2)(\lambda - \lambda_{i+1})} l_j(\lambda)\, d\lambda
        + \sigma_{i+1} \sqrt{1 - e^{-2\tau^2 h}}\, z

    with :math:`\lambda = -\ln\sigma` and Lagrange polynomials :math:`l_j` through the last levels, for the
    corrector also the new one, with the same z. One evaluation a step; the last step is not corrected, the step to
    sigma = 0 returns D; schedule and scaling do not matter. Xue et al. (2023), https://arxiv.org/abs/2309.05019.
    """

    stochastic: ClassVar[bool] = True
    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    tau: NonNegative = 1.0
    order: Annotated[int, Field(ge=1, le=4)] = 3
    corrector_order: Annotated[int, Field(ge=0, le=4)] = 3

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: Start | None) -> tuple[Tensor, Start | None]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0:
            return denoised, None
        if memory is not None and self.corrector_order and memory.history[0].sigma != sigma:
            used = (Past(sigma, denoised), *memory.history[: self.corrector_order])
            x = self._advance(flow, memory.x, i - 1, memory.history[0].sigma, sigma, used)
        history = remember(memory and memory.history, sigma, denoised, max(self.order, self.corrector_order))
        return self._advance(flow, x, i, sigma, following, history[: self.order]), Start(x, history)

    def _advance(self, flow: Flow, x: Tensor, i: int, sigma: float, following: float, used: History) -> Tensor:
        rate, h = 1 + self.tau**2, math.log(sigma / following)
        nodes = [-math.log(level) for level in levels(used)]
        weights = exponential_integrals(nodes, -math.log(sigma), -math.log(following), rate)
        x = combine(((following / sigma) ** rate, x), *weighted([rate * w for w in weights], used))
        up = following * math.sqrt(-math.expm1(-2 * self.tau**2 * h))
        return x.add_(flow.noise(i, 0), alpha=up) if up > 0 else x
