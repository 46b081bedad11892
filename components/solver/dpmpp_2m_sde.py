from collections.abc import Sequence
from typing import ClassVar, Literal

from designspace.registry.component import NonNegative
from designspace.registry.literature import CROWSON_2022, LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import published_weights, reverse_sde
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep


class DPMpp2MSDE(DataMultistep, name="dpmpp_2m_sde"):
    """DPM-Solver++(2M) for the reverse SDE; one evaluation per step.

    The formula is that of ``variant`` = ``midpoint``; with ``heun``, the integral over the slope of D is exact. ``eta``
    = 0 is ``dpmpp_2m`` without a lower final order. The step to sigma = 0 returns D. Schedule and scaling have no
    effect. The method is due to Lu et al. (2022), as implemented in Crowson's k-diffusion (2022).
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} e^{-\eta h} x_i + (1 - e^{-(1+\eta) h})
            \left[D_i + \tfrac{h}{2 h_{i-1}} (D_i - D_{i-1})\right] + \sigma_{i+1} \sqrt{1 - e^{-2\eta h}}\, z,
            \qquad h = \ln\tfrac{\sigma_i}{\sigma_{i+1}}
    """
    sources = (LU_2022_DPM_SOLVER_PP, CROWSON_2022)
    stochastic: ClassVar[bool] = True
    eta: NonNegative = 1.0
    variant: Literal["midpoint", "heun"] = "midpoint"

    def order_at(self, flow: Flow, i: int) -> int:
        return 2

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return published_weights(sigmas, following, self.eta, self.variant)

    def split(self, sigma: float, following: float) -> tuple[float, float]:
        return reverse_sde(sigma, following, self.eta)
