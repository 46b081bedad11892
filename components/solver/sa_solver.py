from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from designspace.registry.component import NonNegative
from designspace.registry.literature import XUE_2023
from designspace.sampling.exponential import data_weights, reverse_sde
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import CorrectedMultistep


class SASolver(CorrectedMultistep, name="sa_solver"):
    r"""SA-Solver: stochastic Adams methods as predictor and corrector; one evaluation per step.

    :math:`\lambda = -\ln\sigma`, and :math:`l_j` are the Lagrange polynomials through the last ``order`` levels (1 to
    4). The corrector, with the same z, uses the last ``corrector_order`` levels (0 to 4; 0 for no corrector) and the
    new one. The last step is not corrected, and the step to sigma = 0 returns D. Schedule and scaling have no effect.
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} e^{-\tau^2 h} x_i + (1 + \tau^2) \sum_j D_j
            \int_{\lambda_i}^{\lambda_{i+1}} e^{(1+\tau^2)(\lambda - \lambda_{i+1})} l_j(\lambda)\, d\lambda
            + \sigma_{i+1} \sqrt{1 - e^{-2\tau^2 h}}\, z
    """
    sources = (XUE_2023,)
    stochastic: ClassVar[bool] = True
    tau: NonNegative = 1.0
    order: Annotated[int, Field(ge=1, le=4)] = 3
    corrector_order: Annotated[int, Field(ge=0, le=4)] = 3

    def order_at(self, flow: Flow, i: int) -> int:
        return self.order

    def corrector_order_at(self, flow: Flow, i: int) -> int:
        return self.corrector_order

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return data_weights(sigmas, following, self.tau**2)

    def split(self, sigma: float, following: float) -> tuple[float, float]:
        return reverse_sde(sigma, following, self.tau**2)
