from torch import Tensor

from designspace.registry.literature import CROWSON_2022, LU_2022_DPM_SOLVER_PP
from designspace.sampling.ancestral import Ancestral
from designspace.sampling.flow import Flow
from designspace.sampling.singlestep import dpmpp_2s


class DPMpp2SAncestral(Ancestral, name="dpmpp_2s_ancestral"):
    """DPM-Solver++(2S) further down than asked for, and noise back up; two evaluations a step.

    with the levels of ``euler_ancestral``; ``eta`` = 0 is ``dpmpp_2s``. Schedule and scaling do not matter; the step to
    sigma = 0 returns D. Lu et al. (2022); the ancestral form is Crowson's (2022).
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_\downarrow}{\sigma_i} x_i + (1 - \tfrac{\sigma_\downarrow}{\sigma_i})\, D(y; m)
            + \sigma_\uparrow z, \qquad m = \sqrt{\sigma_i \sigma_\downarrow}, \quad
            y = \tfrac{m}{\sigma_i} x_i + (1 - \tfrac{m}{\sigma_i}) D_i
    """
    sources = (LU_2022_DPM_SOLVER_PP, CROWSON_2022)

    def descend(self, flow: Flow, x: Tensor, sigma: float, down: float) -> Tensor:
        return dpmpp_2s(flow, x, sigma, down)
