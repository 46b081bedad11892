from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.levels import geometric
from designspace.sampling.rows import TimeSteps


class VE(TimeSteps, name="ve"):
    r"""Geometric noise levels: :math:`t_i = \sigma_i^2` falls by the same factor in each step.

    The defaults are twice the values of Song et al. (2021), 0.01 and 50, because images are in [-1, 1] here. Karras et
    al. (2022), Table 1.
    """

    formula = r"\sigma_i^2 = \sigma_\max^2 (\sigma_\min^2 / \sigma_\max^2)^{i/(N-1)}, \quad i < N"
    sources = (SONG_2021, KARRAS_2022)
    sigma_min: Positive = 0.02
    sigma_max: Positive = 100.0

    def sigmas(self, n: int) -> Tensor:
        return geometric(n, self.sigma_max, self.sigma_min)
