from torch import Tensor

from designspace.registry.literature import CROWSON_2022, LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import dpmpp_2s, through
from designspace.sampling.flow import Flow
from designspace.sampling.solver import Ancestral


class DPMpp2SAncestral(Ancestral, name="dpmpp_2s_ancestral"):
    r"""A DPM-Solver++(2S) step to a level below the next, then added noise to return to it; two evaluations per step.

    :math:`\sigma_\downarrow` and :math:`\sigma_\uparrow` are those of ``euler_ancestral``; ``eta`` = 0 is ``dpmpp_2s``.
    The step to sigma = 0 returns D. Schedule and scaling have no effect. The method is due to Lu et al. (2022), its
    ancestral form to Crowson (2022).
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_\downarrow}{\sigma_i} x_i + (1 - \tfrac{\sigma_\downarrow}{\sigma_i})\, D(y; m)
            + \sigma_\uparrow z, \qquad m = \sqrt{\sigma_i \sigma_\downarrow}, \quad
            y = \tfrac{m}{\sigma_i} x_i + (1 - \tfrac{m}{\sigma_i}) D_i
    """
    sources = (LU_2022_DPM_SOLVER_PP, CROWSON_2022)

    def descend(self, flow: Flow, x: Tensor, sigma: float, down: float) -> Tensor:
        return through(flow, x, sigma, dpmpp_2s(sigma, down)) if down > 0 else flow.D(x, sigma)
