import math
from typing import ClassVar

from designspace.registry.literature import LU_2022_DPM_SOLVER
from designspace.sampling.exponential import SingleStep, Stage


class DPM3(SingleStep, name="dpm3"):
    r"""DPM-Solver-3: three evaluations per step, at the start and at one and two thirds of the step in ln sigma.

    Here :math:`r_1 = \frac13` and :math:`r_2 = \frac23`. The step to sigma = 0 returns D. Schedule and scaling have no
    effect. Lu et al. (2022), Algorithm 5.
    """

    formula = r"""
        u_1 &= x_i - \sigma_{s_1} (e^{r_1 h} - 1)\, e_i, \qquad h = \ln(\sigma_i / \sigma_{i+1}), \quad
            \sigma_{s_k} = \sigma_i e^{-r_k h}, \quad e = (x - D) / \sigma \\
            u_2 &= x_i - \sigma_{s_2} (e^{r_2 h} - 1)\, e_i
            - \sigma_{s_2} \tfrac{r_2}{r_1} \left(\tfrac{e^{r_2 h} - 1}{r_2 h} - 1\right) (e(u_1; s_1) - e_i) \\
            x_{i+1} &= x_i - \sigma_{i+1} (e^h - 1)\, e_i
            - \tfrac{\sigma_{i+1}}{r_2} \left(\tfrac{e^h - 1}{h} - 1\right) (e(u_2; s_2) - e_i)
    """
    sources = (LU_2022_DPM_SOLVER,)
    order_of_convergence: ClassVar[int] = 3

    def stages(self, sigma: float, following: float) -> list[Stage]:
        if following == sigma:
            return [Stage(sigma)]
        h = math.log(sigma / following)
        s_1, s_2 = sigma * math.exp(-h / 3), sigma * math.exp(-2 * h / 3)
        # In terms of D, e(u_1; s_1) - e_i is (D_i - D_1) / s_1, and likewise for u_2.
        change = 2 * (math.expm1(2 * h / 3) / (2 * h / 3) - 1) / s_1
        w = following * 1.5 * (math.expm1(h) / h - 1)
        return [Stage(s_1), Stage(s_2, (s_2 * change,)), Stage(following, (-w * change, w / s_2))]
