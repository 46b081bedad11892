from typing import ClassVar

from torch import Tensor

from designspace.component import NonNegative
from designspace.flow import Flow, ancestral, combine
from designspace.table1 import Solver


class EulerAncestral(Solver, name="euler_ancestral"):
    r"""Euler's step further down than asked for, and noise back up; ``eta`` = 1 is DDPM's sampler, 0 is DDIM.

    .. math:: x_{i+1} = D_i + \tfrac{\sigma_\downarrow}{\sigma_i} (x_i - D_i) + \sigma_\uparrow z, \qquad
        \sigma_\uparrow = \min(\sigma_{i+1}, \eta\, \sigma_{i+1} \sqrt{1 - \sigma_{i+1}^2 / \sigma_i^2}), \quad
        \sigma_\downarrow^2 + \sigma_\uparrow^2 = \sigma_{i+1}^2

    One evaluation a step; schedule and scaling do not matter; the step to sigma = 0 returns D.
    Ho et al. (2020), https://arxiv.org/abs/2006.11239; Song et al. (2020), https://arxiv.org/abs/2010.02502.
    """

    stochastic: ClassVar[bool] = True
    in_time: ClassVar[bool] = False
    eta: NonNegative = 1.0

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        denoised = flow.D(x, sigma)
        down, up = ancestral(sigma, flow.sigma[i + 1], self.eta)
        x = combine((down / sigma, x), (1 - down / sigma, denoised))
        return (x.add_(flow.noise(i, 0), alpha=up) if up > 0 else x), None
