from typing import ClassVar

from torch import Tensor

from designspace.registry.component import Fraction
from designspace.registry.literature import LU_2022_DPM_SOLVER_PP
from designspace.sampling.flow import Flow
from designspace.sampling.singlestep import dpmpp_2s
from designspace.sampling.solver import Solver


class DPMpp2S(Solver, name="dpmpp_2s"):
    r"""DPM-Solver++(2S): order 2, two evaluations a step, on the denoiser's output.

    It steps in :math:`-\ln\sigma`, so schedule and scaling do not matter; the step to sigma = 0 returns D. 0 < ``r`` <
    1. Lu et al. (2022), Algorithm 1.
    """

    formula = r"""
        y &= \tfrac{m}{\sigma_i} x_i + (1 - \tfrac{m}{\sigma_i}) D_i, \qquad m = \sigma_i^{1-r} \sigma_{i+1}^r \\
            x_{i+1} &= \tfrac{\sigma_{i+1}}{\sigma_i} x_i + (1 - \tfrac{\sigma_{i+1}}{\sigma_i})
            \left[(1 - \tfrac{1}{2r}) D_i + \tfrac{1}{2r} D(y; m)\right]
    """
    sources = (LU_2022_DPM_SOLVER_PP,)
    in_time: ClassVar[bool] = False
    r: Fraction = 0.5

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        return dpmpp_2s(flow, x, sigma, flow.sigma[i + 1], self.r), None
