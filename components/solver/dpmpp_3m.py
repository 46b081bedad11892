from typing import ClassVar

from torch import Tensor

from designspace.exponential import published_weights
from designspace.flow import Flow, combine
from designspace.multistep import History, allowed_order, levels, remember, weighted
from designspace.table1 import Solver


class DPMpp3M(Solver, name="dpmpp_3m"):
    r"""DPM-Solver++(3M) as published: one evaluation a step; of order 2, not 3, for lack of a factor 2 before D''.

    .. math:: x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i - \varphi_1 D_i + \varphi_2 D' - \varphi_3 D'',
        \qquad \varphi_1 = e^{-h} - 1, \quad \varphi_2 = \tfrac{\varphi_1}{h} + 1, \quad
        \varphi_3 = \tfrac{\varphi_2}{h} - \tfrac12

    with :math:`h = \ln(\sigma_i / \sigma_{i+1})` and the divided differences D' and D'' of the last three outputs
    of the denoiser. Lower orders, DPM-Solver++(1) and (2M), at the start and with ``lower_order_final`` at the end;
    the step to sigma = 0 returns D; schedule and scaling do not matter. ``dpmpp_3m_exact`` has the factor. Lu et
    al. (2022), https://arxiv.org/abs/2211.01095, as in the authors' code.
    """

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    lower_order_final: bool = True

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        history = remember(memory, sigma, denoised, 3)
        if following == 0:
            return denoised, history
        used = history[: allowed_order(flow, i, 3, self.lower_order_final)]
        weights = published_weights(levels(used), following)
        return combine((following / sigma, x), *weighted(weights, used)), history
