import math
from typing import ClassVar

from torch import Tensor

from designspace.flow import Flow, combine
from designspace.table1 import Solver


class DPMpp2M(Solver, name="dpmpp_2m"):
    r"""DPM-Solver++(2M): order 2 with one evaluation a step, remembering the denoiser's last output.

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i + (1 - e^{-h})
        \left[D_i + \tfrac{h}{2 h_{i-1}} (D_i - D_{i-1})\right], \qquad h = \ln(\sigma_i / \sigma_{i+1})

    It steps in :math:`-\ln\sigma`, so schedule and scaling do not matter. The first step is of order 1, the last
    too if ``lower_order_final``; the step to sigma = 0 returns D. Lu et al. (2022),
    https://arxiv.org/abs/2211.01095, Algorithm 2.
    """

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    lower_order_final: bool = True

    def step(
        self, flow: Flow, x: Tensor, i: int, sigma: float, memory: tuple[Tensor, float] | None
    ) -> tuple[Tensor, tuple[Tensor, float]]:
        following = flow.sigma[i + 1]
        denoised = flow.D(x, sigma)
        if following == 0:
            return denoised, (denoised, sigma)
        ratio = following / sigma
        last = i == flow.steps - 1 and self.lower_order_final
        if memory is None or last or memory[1] == sigma:
            return combine((ratio, x), (1 - ratio, denoised)), (denoised, sigma)
        before, sigma_before = memory
        slope = (1 - ratio) * math.log(ratio) / (2 * math.log(sigma / sigma_before))
        return combine((ratio, x), (1 - ratio + slope, denoised), (-slope, before)), (denoised, sigma)
