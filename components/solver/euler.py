from torch import Tensor

from designspace.registry.literature import KARRAS_2022, SONG_2020
from designspace.sampling.flow import Flow, tangent_step
from designspace.sampling.solver import Solver


class Euler(Solver, name="euler"):
    r"""Order 1, one evaluation a step.

    With :math:`\sigma = t`, s = 1 it is DDIM (Song et al. 2020), and the step to t = 0 returns the denoiser's output.
    Karras et al. (2022), Table 1.
    """

    formula = r"z_{i+1} = z_i + (t_{i+1} - t_i)\, \tfrac{dz}{dt}(z_i, t_i)"
    sources = (SONG_2020, KARRAS_2022)

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        return tangent_step(x, flow.D(x, sigma), flow.at(sigma), flow.at(flow.sigma[i + 1])), None
