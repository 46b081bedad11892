from typing import ClassVar

from torch import Tensor

from designspace.registry.component import NonNegative
from designspace.registry.literature import CROWSON_2022, LU_2022_DPM_SOLVER_PP
from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import Solver, ancestral


class DPMppSDE(Solver, name="dpmpp_sde"):
    r"""DPM-Solver++(2S) for the reverse SDE, with noise at the intermediate level as well; two evaluations per step.

    The arrows denote the levels of ``euler_ancestral``. :math:`z_1` and :math:`z_2` are increments of one Brownian
    motion in sigma, with the correlation :math:`\sqrt{(\sigma_i - m) / (\sigma_i - \sigma_{i+1})}`. ``eta`` = 0 is
    ``dpmpp_2s``. The step to sigma = 0 returns D. Schedule and scaling have no effect. The method is due to Lu et al.
    (2022), as implemented in Crowson's k-diffusion (2022).
    """

    formula = r"""
        y &= \tfrac{m_\downarrow}{\sigma_i} x_i + (1 - \tfrac{m_\downarrow}{\sigma_i}) D_i + m_\uparrow z_1,
            \qquad m = \sqrt{\sigma_i \sigma_{i+1}} \\
            x_{i+1} &= \tfrac{\sigma_\downarrow}{\sigma_i} x_i + (1 - \tfrac{\sigma_\downarrow}{\sigma_i})\, D(y; m)
            + \sigma_\uparrow z_2
    """
    sources = (LU_2022_DPM_SOLVER_PP, CROWSON_2022)
    stochastic: ClassVar[bool] = True
    in_time: ClassVar[bool] = False
    eta: NonNegative = 1.0

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following in (0, sigma):
            return (x if following else denoised), None
        m = (sigma * following) ** 0.5
        middle_down, middle_up = ancestral(sigma, m, self.eta)
        down, up = ancestral(sigma, following, self.eta)
        y = combine((middle_down / sigma, x), (1 - middle_down / sigma, denoised))
        if self.eta == 0:
            return combine((down / sigma, x), (1 - down / sigma, flow.D(y, m))), None
        first, second = flow.noise(i, 0), flow.noise(i, 1)
        shared = (sigma - m) / (sigma - following)
        denoised = flow.D(y.add_(first, alpha=middle_up), m)
        x = combine((down / sigma, x), (1 - down / sigma, denoised))
        return x.add_(first, alpha=up * shared**0.5).add_(second, alpha=up * (1 - shared) ** 0.5), None
