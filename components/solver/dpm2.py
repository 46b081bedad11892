from typing import ClassVar

from torch import Tensor

from designspace.component import Fraction
from designspace.flow import Flow, combine
from designspace.table1 import Solver


class DPM2(Solver, name="dpm2"):
    r"""DPM-Solver-2: order 2, two evaluations a step, the second at an intermediate noise level.

    .. math:: m &= \sigma_i^{1-r} \sigma_{i+1}^r, \qquad y = x_i + (m - \sigma_i)\, e_i, \qquad e = (x - D) / \sigma \\
        x_{i+1} &= x_i + (\sigma_{i+1} - \sigma_i) \left[(1 - \tfrac{1}{2r}) e_i + \tfrac{1}{2r}\, e(y; m)\right]

    It steps in sigma, so schedule and scaling do not matter; the step to sigma = 0 returns D. 0 < ``r`` < 1.
    Lu et al. (2022), https://arxiv.org/abs/2206.00927, Algorithm 4; Karras et al. (2022), Section D.2.
    """

    in_time: ClassVar[bool] = False
    r: Fraction = 0.5

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0:
            return denoised, None
        m = sigma ** (1 - self.r) * following**self.r
        y = combine((m / sigma, x), (1 - m / sigma, denoised))
        denoised_m = flow.D(y, m)
        first = (following - sigma) * (1 - 1 / (2 * self.r)) / sigma
        second = (following - sigma) / (2 * self.r) / m
        return combine((1 + first, x), (-first, denoised), (second, y), (-second, denoised_m)), None
