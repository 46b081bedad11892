from typing import ClassVar

from torch import Tensor

from designspace.exponential import data_weights
from designspace.flow import Flow, combine
from designspace.multistep import History, allowed_order, levels, remember, weighted
from designspace.table1 import Solver


class DPMpp3MExact(Solver, name="dpmpp_3m_exact"):
    r"""DPM-Solver++(3M) with the factor 2 that the published code lacks: order 3, one evaluation a step.

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i
        + \sum_j D_{i-j} \int_{\lambda_i}^{\lambda_{i+1}} e^{\lambda - \lambda_{i+1}} l_j(\lambda)\, d\lambda,
        \qquad \lambda = -\ln\sigma

    with the Lagrange polynomials :math:`l_j` of the last three levels: the exponential Adams-Bashforth method on the
    denoiser's output. Lower orders at the start and with ``lower_order_final`` at the end; the step to sigma = 0
    returns D; schedule and scaling do not matter. Lu et al. (2022), https://arxiv.org/abs/2211.01095; Hochbruck and
    Ostermann (2010), https://doi.org/10.1017/S0962492910000048.
    """

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    lower_order_final: bool = True

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        history = remember(memory, sigma, denoised, 3)
        if following == 0:
            return denoised, history
        used = history[: allowed_order(flow, i, 3, self.lower_order_final)]
        return combine((following / sigma, x), *weighted(data_weights(levels(used), following), used)), history
