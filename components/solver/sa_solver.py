from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from designspace.registry.component import NonNegative
from designspace.registry.literature import XUE_2023
from designspace.sampling.exponential import data_weights, reverse_sde
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import CorrectedMultistep


class SASolver(CorrectedMultistep, name="sa_solver"):
    r"""Stochastic Adams: a predictor of order ``order`` and a corrector of order ``corrector_order`` + 1 (0: none).

    with :math:`\lambda = -\ln\sigma` and Lagrange polynomials :math:`l_j` through the last levels, for the corrector
    also the new one, with the same z. One evaluation a step; the last step is not corrected, the step to sigma = 0
    returns D; schedule and scaling do not matter.
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
