from typing import ClassVar

from designspace.registry.component import Fraction
from designspace.registry.literature import LU_2022_DPM_SOLVER
from designspace.sampling.exponential import SingleStep, Stage, dpm_solver_2


class DPM2(SingleStep, name="dpm2"):
    r"""DPM-Solver-2: two evaluations per step, the second at an intermediate noise level.

    ``r``, between 0 and 1, places the second evaluation within the step in :math:`\ln\sigma`. The step to sigma = 0
    returns D. Schedule and scaling have no effect. Lu et al. (2022), Algorithm 4; Karras et al. (2022), Section D.2.
    """

    formula = r"""
        m &= \sigma_i^{1-r} \sigma_{i+1}^r, \qquad y = x_i + (m - \sigma_i)\, e_i, \qquad e = (x - D) / \sigma \\
            x_{i+1} &= x_i + (\sigma_{i+1} - \sigma_i) \left[(1 - \tfrac{1}{2r}) e_i + \tfrac{1}{2r}\, e(y; m)\right]
    """
    sources = (LU_2022_DPM_SOLVER,)
    order_of_convergence: ClassVar[int] = 2
    r: Fraction = 0.5

    def stages(self, sigma: float, following: float) -> tuple[Stage, Stage]:
        return dpm_solver_2(sigma, following, self.r)
