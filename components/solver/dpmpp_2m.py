from collections.abc import Sequence
from typing import ClassVar

from designspace.registry.literature import LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import published_weights
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep, LowerOrderFinal, allowed_order


class DPMpp2M(DataMultistep, name="dpmpp_2m"):
    """DPM-Solver++(2M): a two-step method on the output of the denoiser; one evaluation per step.

    The first step is of order 1, and with ``lower_order_final`` the last one as well: ``true`` lowers it for any number
    of steps, ``false`` for none, and a number n in runs of fewer than n steps (15 is the rule of diffusers). The step
    to sigma = 0 returns D, whatever the field is. Schedule and scaling have no effect. Lu et al. (2022), Algorithm 2.
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i + (1 - e^{-h})
            \left[D_i + \tfrac{h}{2 h_{i-1}} (D_i - D_{i-1})\right], \qquad h = \ln(\sigma_i / \sigma_{i+1})
    """
    sources = (LU_2022_DPM_SOLVER_PP,)
    order_of_convergence: ClassVar[int] = 2
    lower_order_final: LowerOrderFinal = True

    def order_at(self, flow: Flow, i: int) -> int:
        return allowed_order(flow, i, 2, self.lower_order_final)

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        return published_weights(sigmas, following)
