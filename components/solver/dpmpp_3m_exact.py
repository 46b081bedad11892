from collections.abc import Sequence

from designspace.sampling.exponential import data_weights
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep, allowed_order


class DPMpp3MExact(DataMultistep, name="dpmpp_3m_exact"):
    r"""DPM-Solver++(3M) with the factor 2 that the published code lacks: order 3, one evaluation a step.

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i
        + \sum_j D_{i-j} \int_{\lambda_i}^{\lambda_{i+1}} e^{\lambda - \lambda_{i+1}} l_j(\lambda)\, d\lambda,
        \qquad \lambda = -\ln\sigma

    with the Lagrange polynomials :math:`l_j` of the last three levels: the exponential Adams-Bashforth method on the
    denoiser's output. Lower orders at the start and with ``lower_order_final`` at the end; the step to sigma = 0
    returns D; schedule and scaling do not matter. Lu et al. (2022), https://arxiv.org/abs/2211.01095; Hochbruck and
    Ostermann (2010), https://doi.org/10.1017/S0962492910000048.
    """

    lower_order_final: bool = True

    def order_at(self, flow: Flow, i: int) -> int:
        return allowed_order(flow, i, 3, self.lower_order_final)

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return data_weights(sigmas, following)
