from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from designspace.exponential import noise_weights
from designspace.flow import Flow, combine
from designspace.multistep import History, levels, remember, weighted
from designspace.table1 import Solver


class ExponentialAB(Solver, name="exponential_ab"):
    r"""The multistep DPM-Solver, exponential Adams-Bashforth on the noise: order ``order``, one evaluation a step.

    .. math:: x_{i+1} = x_i - \sum_j e_{i-j} \int_{\lambda_i}^{\lambda_{i+1}} e^{-\lambda} l_j(\lambda)\, d\lambda,
        \qquad e = (x - D) / \sigma, \quad \lambda = -\ln\sigma

    with the Lagrange polynomials :math:`l_j` of the last ``order`` levels (1 to 4), fewer at the start. The step to
    sigma = 0 returns D; schedule and scaling do not matter. Zhang and Chen (2022),
    https://arxiv.org/abs/2204.13902.
    """

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    order: Annotated[int, Field(ge=1, le=4)] = 3

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        history = remember(memory, sigma, (x - denoised) / sigma, self.order)
        if following == 0:
            return denoised, history
        return combine((1, x), *weighted(noise_weights(levels(history), following), history)), history
