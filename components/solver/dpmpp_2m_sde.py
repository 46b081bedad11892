import math
from typing import ClassVar, Literal

from torch import Tensor

from designspace.component import NonNegative
from designspace.exponential import published_weights
from designspace.flow import Flow, combine
from designspace.multistep import History, levels, remember, weighted
from designspace.table1 import Solver


class DPMpp2MSDE(Solver, name="dpmpp_2m_sde"):
    r"""DPM-Solver++(2M) for the SDE: one evaluation a step.

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} e^{-\eta h} x_i + (1 - e^{-(1+\eta) h})
        \left[D_i + \tfrac{h}{2 h_{i-1}} (D_i - D_{i-1})\right] + \sigma_{i+1} \sqrt{1 - e^{-2\eta h}}\, z,
        \qquad h = \ln\tfrac{\sigma_i}{\sigma_{i+1}}

    (``midpoint``; ``heun`` has the weight of the slope exactly.) ``eta`` = 0 is ``dpmpp_2m`` without a lower final
    order. The step to sigma = 0 returns D; schedule and scaling do not matter. Lu et al. (2022),
    https://arxiv.org/abs/2211.01095, as in Crowson's k-diffusion (2022), https://github.com/crowsonkb/k-diffusion.
    """

    stochastic: ClassVar[bool] = True
    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    eta: NonNegative = 1.0
    variant: Literal["midpoint", "heun"] = "midpoint"

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        history = remember(memory, sigma, denoised, 2)
        if following == 0:
            return denoised, history
        shrink = (following / sigma) ** (1 + self.eta)
        weights = published_weights(levels(history), following, self.eta, self.variant)
        x = combine((shrink, x), *weighted(weights, history))
        up = following * math.sqrt(-math.expm1(-2 * self.eta * math.log(sigma / following)))
        return (x.add_(flow.noise(i, 0), alpha=up) if up > 0 else x), history
