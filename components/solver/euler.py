from torch import Tensor

from designspace.sampling.flow import Flow, tangent_step
from designspace.sampling.solver import Solver


class Euler(Solver, name="euler"):
    r"""Order 1, one evaluation a step.

    .. math:: z_{i+1} = z_i + (t_{i+1} - t_i)\, \tfrac{dz}{dt}(z_i, t_i)

    With :math:`\sigma = t`, s = 1 it is DDIM (Song et al. 2020, https://arxiv.org/abs/2010.02502), and the step to
    t = 0 returns the denoiser's output. Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        return tangent_step(x, flow.D(x, sigma), flow.at(sigma), flow.at(flow.sigma[i + 1])), None
