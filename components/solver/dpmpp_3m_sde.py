import math
from typing import ClassVar

from torch import Tensor

from designspace.component import NonNegative
from designspace.exponential import published_weights
from designspace.flow import Flow, combine
from designspace.multistep import History, levels, remember, weighted
from designspace.table1 import Solver


class DPMpp3MSDE(Solver, name="dpmpp_3m_sde"):
    r"""DPM-Solver++(3M) for the SDE, as published: one evaluation a step.

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} e^{-\eta h} x_i - \varphi_1 D_i + \varphi_2 D' - \varphi_3 D''
        + \sigma_{i+1} \sqrt{1 - e^{-2\eta h}}\, z, \qquad h = \ln\tfrac{\sigma_i}{\sigma_{i+1}}

    with the :math:`\varphi` of ``dpmpp_3m`` at :math:`(1 + \eta) h`, and like it without the factor 2 before D''.
    The step to sigma = 0 returns D; schedule and scaling do not matter. Lu et al. (2022),
    https://arxiv.org/abs/2211.01095, as in Crowson's k-diffusion (2022), https://github.com/crowsonkb/k-diffusion.
    """

    stochastic: ClassVar[bool] = True
    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    eta: NonNegative = 1.0

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        history = remember(memory, sigma, denoised, 3)
        if following == 0:
            return denoised, history
        shrink = (following / sigma) ** (1 + self.eta)
        weights = published_weights(levels(history), following, self.eta, "heun")
        x = combine((shrink, x), *weighted(weights, history))
        up = following * math.sqrt(-math.expm1(-2 * self.eta * math.log(sigma / following)))
        return (x.add_(flow.noise(i, 0), alpha=up) if up > 0 else x), history
