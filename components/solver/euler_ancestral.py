from torch import Tensor

from designspace.registry.literature import HO_2020, SONG_2020
from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import Ancestral


class EulerAncestral(Ancestral, name="euler_ancestral"):
    """An Euler step to a level below the next, then added noise to return to it; one evaluation per step.

    ``eta`` = 1 is the sampler of DDPM (Ho et al. 2020), ``eta`` = 0 is DDIM (Song et al. 2020). The step to sigma = 0
    returns D. Schedule and scaling have no effect.
    """

    formula = r"""
        x_{i+1} = D_i + \tfrac{\sigma_\downarrow}{\sigma_i} (x_i - D_i) + \sigma_\uparrow z, \qquad
            \sigma_\uparrow = \min(\sigma_{i+1}, \eta\, \sigma_{i+1} \sqrt{1 - \sigma_{i+1}^2 / \sigma_i^2}), \quad
            \sigma_\downarrow^2 + \sigma_\uparrow^2 = \sigma_{i+1}^2
    """
    sources = (HO_2020, SONG_2020)

    def descend(self, flow: Flow, x: Tensor, sigma: float, down: float) -> Tensor:
        return combine((down / sigma, x), (1 - down / sigma, flow.D(x, sigma)))
