from typing import ClassVar

from designspace.registry.component import Fraction
from designspace.registry.literature import LU_2022_DPM_SOLVER_PP
from designspace.sampling.exponential import SingleStep, Stage, dpmpp_2s


class DPMpp2S(SingleStep, name="dpmpp_2s"):
    r"""DPM-Solver++(2S): a one-step method on the output of the denoiser; two evaluations per step.

    ``r``, between 0 and 1, places the second evaluation within the step in :math:`\ln\sigma`. The step to sigma = 0
    returns D. Schedule and scaling have no effect. Lu et al. (2022), Algorithm 1.
    """

    formula = r"""
        y &= \tfrac{m}{\sigma_i} x_i + (1 - \tfrac{m}{\sigma_i}) D_i, \qquad m = \sigma_i^{1-r} \sigma_{i+1}^r \\
            x_{i+1} &= \tfrac{\sigma_{i+1}}{\sigma_i} x_i + (1 - \tfrac{\sigma_{i+1}}{\sigma_i})
            \left[(1 - \tfrac{1}{2r}) D_i + \tfrac{1}{2r} D(y; m)\right]
    """
    sources = (LU_2022_DPM_SOLVER_PP,)
    order_of_convergence: ClassVar[int] = 2
    r: Fraction = 0.5

    def stages(self, sigma: float, following: float) -> tuple[Stage, Stage]:
        return dpmpp_2s(sigma, following, self.r)
