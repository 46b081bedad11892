from typing import ClassVar

from torch import Tensor

from designspace.component import NonNegative
from designspace.flow import Flow, ancestral, combine
from designspace.table1 import Solver


class DPM2Ancestral(Solver, name="dpm2_ancestral"):
    r"""DPM-Solver-2 further down than asked for, and noise back up; two evaluations a step.

    .. math:: x_{i+1} = x_i + (\sigma_\downarrow - \sigma_i)\, e(y; m) + \sigma_\uparrow z, \qquad
        m = \sqrt{\sigma_i \sigma_\downarrow}, \quad y = x_i + (m - \sigma_i)\, e_i, \quad e = (x - D) / \sigma

    with the levels of ``euler_ancestral``; ``eta`` = 0 is ``dpm2``. Schedule and scaling do not matter; the step to
    sigma = 0 returns D. Lu et al. (2022), https://arxiv.org/abs/2206.00927; the ancestral form is Crowson's (2022),
    https://github.com/crowsonkb/k-diffusion.
    """

    stochastic: ClassVar[bool] = True
    in_time: ClassVar[bool] = False
    eta: NonNegative = 1.0

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        denoised = flow.D(x, sigma)
        down, up = ancestral(sigma, flow.sigma[i + 1], self.eta)
        if down == 0:
            return denoised, None
        m = (sigma * down) ** 0.5
        y = combine((m / sigma, x), (1 - m / sigma, denoised))
        pull = (down - sigma) / m
        x = combine((1, x), (pull, y), (-pull, flow.D(y, m)))
        return (x.add_(flow.noise(i, 0), alpha=up) if up > 0 else x), None
