from collections.abc import Sequence
from typing import ClassVar

from designspace.registry.component import NonNegative
from designspace.registry.literature import CROWSON_2022, LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import published_weights, reverse_sde
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep


class DPMpp3MSDE(DataMultistep, name="dpmpp_3m_sde"):
    r"""DPM-Solver++(3M) for the reverse SDE, as published; one evaluation per step.

    The :math:`\varphi` are those of ``dpmpp_3m`` at :math:`(1 + \eta) h`, without the factor 2 before D''. The step to
    sigma = 0 returns D. Schedule and scaling have no effect. The method is due to Lu et al. (2022), as implemented in
    Crowson's k-diffusion (2022).
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} e^{-\eta h} x_i - \varphi_1 D_i + \varphi_2 D' - \varphi_3 D''
            + \sigma_{i+1} \sqrt{1 - e^{-2\eta h}}\, z, \qquad h = \ln\tfrac{\sigma_i}{\sigma_{i+1}}
    """
    sources = (LU_2022_DPM_SOLVER_PP, CROWSON_2022)
    stochastic: ClassVar[bool] = True
    eta: NonNegative = 1.0

    def order_at(self, flow: Flow, i: int) -> int:
        return 3

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return published_weights(sigmas, following, self.eta, "heun")

    def split(self, sigma: float, following: float) -> tuple[float, float]:
        return reverse_sde(sigma, following, self.eta)
