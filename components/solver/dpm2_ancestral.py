from torch import Tensor

from designspace.registry.literature import CROWSON_2022, LU_2022_DPM_SOLVER
from designspace.sampling.ancestral import Ancestral
from designspace.sampling.flow import Flow
from designspace.sampling.singlestep import dpm_solver_2


class DPM2Ancestral(Ancestral, name="dpm2_ancestral"):
    """DPM-Solver-2 further down than asked for, and noise back up; two evaluations a step.

    with the levels of ``euler_ancestral``; ``eta`` = 0 is ``dpm2``. Schedule and scaling do not matter; the step to
    sigma = 0 returns D. Lu et al. (2022); the ancestral form is Crowson's (2022).
    """

    formula = r"""
        x_{i+1} = x_i + (\sigma_\downarrow - \sigma_i)\, e(y; m) + \sigma_\uparrow z, \qquad
            m = \sqrt{\sigma_i \sigma_\downarrow}, \quad y = x_i + (m - \sigma_i)\, e_i, \quad e = (x - D) / \sigma
    """
    sources = (LU_2022_DPM_SOLVER, CROWSON_2022)

    def descend(self, flow: Flow, x: Tensor, sigma: float, down: float) -> Tensor:
        return dpm_solver_2(flow, x, sigma, down)
