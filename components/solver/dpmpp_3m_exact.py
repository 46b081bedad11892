from collections.abc import Sequence
from typing import ClassVar

from designspace.registry.literature import HOCHBRUCK_2010, LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import data_weights
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep, LowerOrderFinal, allowed_order


class DPMpp3MExact(DataMultistep, name="dpmpp_3m_exact"):
    """DPM-Solver++(3M) with the factor 2 that the published code lacks; one evaluation per step.

    :math:`l_j` are the Lagrange polynomials through the last three levels: it is the exponential Adams-Bashforth method
    on the output of the denoiser. The order is lower at the start, and with ``lower_order_final`` at the end: ``true``
    lowers it for any number of steps, ``false`` for none, and a number n in runs of fewer than n steps. The step to
    sigma = 0 returns D. Schedule and scaling have no effect.
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i
            + \sum_j D_{i-j} \int_{\lambda_i}^{\lambda_{i+1}} e^{\lambda - \lambda_{i+1}} l_j(\lambda)\, d\lambda,
            \qquad \lambda = -\ln\sigma
    """
    sources = (LU_2022_DPM_SOLVER_PP, HOCHBRUCK_2010)
    order_of_convergence: ClassVar[int] = 3
    lower_order_final: LowerOrderFinal = True

    def order_at(self, flow: Flow, i: int) -> int:
        return allowed_order(flow, i, 3, self.lower_order_final)

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return data_weights(sigmas, following)
