from typing import ClassVar

from torch import Tensor

from designspace.registry.component import Fraction
from designspace.registry.literature import LU_2022_DPM_SOLVER
from designspace.sampling.flow import Flow
from designspace.sampling.singlestep import dpm_solver_2
from designspace.sampling.solver import Solver


class DPM2(Solver, name="dpm2"):
    """DPM-Solver-2: order 2, two evaluations a step, the second at an intermediate noise level.

    It steps in sigma, so schedule and scaling do not matter; the step to sigma = 0 returns D. 0 < ``r`` < 1. Lu et al.
    (2022), Algorithm 4; Karras et al. (2022), Section D.2.
    """

    formula = r"""
        m &= \sigma_i^{1-r} \sigma_{i+1}^r, \qquad y = x_i + (m - \sigma_i)\, e_i, \qquad e = (x - D) / \sigma \\
            x_{i+1} &= x_i + (\sigma_{i+1} - \sigma_i) \left[(1 - \tfrac{1}{2r}) e_i + \tfrac{1}{2r}\, e(y; m)\right]
    """
    sources = (LU_2022_DPM_SOLVER,)
    in_time: ClassVar[bool] = False
    r: Fraction = 0.5

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        return dpm_solver_2(flow, x, sigma, flow.sigma[i + 1], self.r), None
