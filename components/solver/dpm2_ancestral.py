from torch import Tensor

from designspace.registry.literature import CROWSON_2022, LU_2022_DPM_SOLVER
from designspace.sampling.exponential import dpm_solver_2, through
from designspace.sampling.flow import Flow
from designspace.sampling.solver import Ancestral


class DPM2Ancestral(Ancestral, name="dpm2_ancestral"):
    r"""A DPM-Solver-2 step to a level below the next, then added noise to return to it; two evaluations per step.

    :math:`\sigma_\downarrow` and :math:`\sigma_\uparrow` are those of ``euler_ancestral``; ``eta`` = 0 is ``dpm2``. The
    step to sigma = 0 returns D. Schedule and scaling have no effect. The method is due to Lu et al. (2022), its
    ancestral form to Crowson (2022).
    """

    formula = r"""
        x_{i+1} = x_i + (\sigma_\downarrow - \sigma_i)\, e(y; m) + \sigma_\uparrow z, \qquad
            m = \sqrt{\sigma_i \sigma_\downarrow}, \quad y = x_i + (m - \sigma_i)\, e_i, \quad e = (x - D) / \sigma
    """
    sources = (LU_2022_DPM_SOLVER, CROWSON_2022)

    def descend(self, flow: Flow, x: Tensor, sigma: float, down: float) -> Tensor:
        return through(flow, x, sigma, dpm_solver_2(sigma, down)) if down > 0 else flow.D(x, sigma)
