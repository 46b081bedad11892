from collections.abc import Sequence
from typing import ClassVar

from designspace.registry.literature import LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import published_weights
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep, LowerOrderFinal, allowed_order


class DPMpp3M(DataMultistep, name="dpmpp_3m"):
    r"""DPM-Solver++(3M) as published, of order 2 because a factor before D'' is missing; one evaluation per step.

    :math:`h = \ln(\sigma_i / \sigma_{i+1})`, and D' and D'' are the divided differences of the last three outputs of
    the denoiser. The first steps are DPM-Solver++(1) and (2M), and with ``lower_order_final`` the last ones as well:
    ``true`` lowers them for any number of steps, ``false`` for none, and a number n in runs of fewer than n steps (15
    is the rule of diffusers). The step to sigma = 0 returns D. Schedule and scaling have no effect. The missing factor
    is 2; ``dpmpp_3m_exact`` includes it. Lu et al. (2022), as implemented by the authors.
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i - \varphi_1 D_i + \varphi_2 D' - \varphi_3 D'',
            \qquad \varphi_1 = e^{-h} - 1, \quad \varphi_2 = \tfrac{\varphi_1}{h} + 1, \quad
            \varphi_3 = \tfrac{\varphi_2}{h} - \tfrac12
    """
    sources = (LU_2022_DPM_SOLVER_PP,)
    order_of_convergence: ClassVar[int] = 2
    lower_order_final: LowerOrderFinal = True

    def order_at(self, flow: Flow, i: int) -> int:
        return allowed_order(flow, i, 3, self.lower_order_final)

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return published_weights(sigmas, following)
