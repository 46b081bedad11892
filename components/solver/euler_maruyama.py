import math
from typing import ClassVar

from torch import Tensor

from designspace.registry.literature import SONG_2021
from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import Solver


class EulerMaruyama(Solver, name="euler_maruyama"):
    r"""The Euler-Maruyama method for the reverse SDE; one evaluation per step.

    It steps in the time of the rows schedule and scaling. Compared with the ODE, the score term is doubled, and noise
    is added. The step to t = 0 returns D. Song et al. (2021); in this notation it is Eq. 6 of Karras et al. (2022) with
    :math:`\beta = \dot\sigma/\sigma`.
    """

    formula = r"""
        dz = \left[\tfrac{\dot s}{s} z - 2 s^2 \dot\sigma \sigma\, \nabla_z \log p\right] dt
            + s \sqrt{2 \dot\sigma \sigma}\, d\bar w
    """
    sources = (SONG_2021,)
    stochastic: ClassVar[bool] = True

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        a, b, denoised = flow.at(sigma), flow.at(flow.sigma[i + 1]), flow.D(x, sigma)
        if b.t == 0:
            return denoised, None
        h = b.t - a.t
        pull = 2 * h * a.sigma_dot / a.sigma * a.s
        x = combine(((a.s + pull + h * a.s_dot) / b.s, x), (-pull / b.s, denoised))
        return x.add_(flow.noise(i, 0), alpha=a.s * math.sqrt(-2 * h * a.sigma_dot * a.sigma) / b.s), None
