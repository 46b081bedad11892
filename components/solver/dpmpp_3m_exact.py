from collections.abc import Sequence

from designspace.registry.literature import HOCHBRUCK_2010, LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import data_weights
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep, allowed_order


class DPMpp3MExact(DataMultistep, name="dpmpp_3m_exact"):
    """DPM-Solver++(3M) with the factor 2 that the published code lacks: order 3, one evaluation a step.

    with the Lagrange polynomials :math:`l_j` of the last three levels: the exponential Adams-Bashforth method on the
    denoiser's output. Lower orders at the start and with ``lower_order_final`` at the end; the step to sigma = 0
    returns D; schedule and scaling do not matter.
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i
            + \sum_j D_{i-j} \int_{\lambda_i}^{\lambda_{i+1}} e^{\lambda - \lambda_{i+1}} l_j(\lambda)\, d\lambda,
            \qquad \lambda = -\ln\sigma
    """
    sources = (LU_2022_DPM_SOLVER_PP, HOCHBRUCK_2010)
    lower_order_final: bool = True

    def order_at(self, flow: Flow, i: int) -> int:
        return allowed_order(flow, i, 3, self.lower_order_final)

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return data_weights(sigmas, following)
