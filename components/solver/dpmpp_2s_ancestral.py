from typing import ClassVar

from torch import Tensor

from designspace.component import NonNegative
from designspace.flow import Flow, ancestral, combine
from designspace.table1 import Solver


class DPMpp2SAncestral(Solver, name="dpmpp_2s_ancestral"):
    r"""DPM-Solver++(2S) further down than asked for, and noise back up; two evaluations a step.

    .. math:: x_{i+1} = \tfrac{\sigma_\downarrow}{\sigma_i} x_i + (1 - \tfrac{\sigma_\downarrow}{\sigma_i})\, D(y; m)
        + \sigma_\uparrow z, \qquad m = \sqrt{\sigma_i \sigma_\downarrow}, \quad
        y = \tfrac{m}{\sigma_i} x_i + (1 - \tfrac{m}{\sigma_i}) D_i

    with the levels of ``euler_ancestral``; ``eta`` = 0 is ``dpmpp_2s``. Schedule and scaling do not matter; the step to
    sigma = 0 returns D. Lu et al. (2022), https://arxiv.org/abs/2211.01095; the ancestral form is Crowson's (2022),
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
        denoised = flow.D(combine((m / sigma, x), (1 - m / sigma, denoised)), m)
        x = combine((down / sigma, x), (1 - down / sigma, denoised))
        return (x.add_(flow.noise(i, 0), alpha=up) if up > 0 else x), None
