import math
from typing import ClassVar

from torch import Tensor

from designspace.registry.literature import LU_2022_DPM_SOLVER
from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import Solver


class DPM3(Solver, name="dpm3"):
    r"""DPM-Solver-3: order 3, three evaluations a step, at :math:`r_1 = \frac13` and :math:`r_2 = \frac23` of it.

    It steps in :math:`-\ln\sigma`, so schedule and scaling do not matter; the step to sigma = 0 returns D. Lu et al.
    (2022), Algorithm 5.
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
    in_time: ClassVar[bool] = False

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following in (0, sigma):
            return (x if following else denoised), None
        h = math.log(sigma / following)
        s_1, s_2 = sigma * math.exp(-h / 3), sigma * math.exp(-2 * h / 3)
        # In terms of D: e(u_1; s_1) - e_i is (D_i - D_1) / s_1, and e(u_2; s_2) - e_i likewise.
        change = 2 * (math.expm1(2 * h / 3) / (2 * h / 3) - 1) / s_1
        D_1 = flow.D(combine((s_1 / sigma, x), (1 - s_1 / sigma, denoised)), s_1)
        ratio, w = s_2 / sigma, s_2 * change
        D_2 = flow.D(combine((ratio, x), (1 - ratio - w, denoised), (w, D_1)), s_2)
        ratio, w = following / sigma, following * 1.5 * (math.expm1(h) / h - 1)
        w_1, w_2 = -w * change, w / s_2
        return combine((ratio, x), (1 - ratio - w_1 - w_2, denoised), (w_1, D_1), (w_2, D_2)), None
