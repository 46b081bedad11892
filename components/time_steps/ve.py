from torch import Tensor

from designspace.registry.component import Positive
from designspace.sampling.levels import geometric
from designspace.sampling.rows import TimeSteps


class VE(TimeSteps, name="ve"):
    r"""Geometric noise levels: :math:`t_i = \sigma_i^2` falls by the same factor in each step.

    .. math:: \sigma_i^2 = \sigma_\max^2 (\sigma_\min^2 / \sigma_\max^2)^{i/(N-1)}, \quad i < N

    The defaults are twice Song's 0.01 to 50, because images are in [-1, 1] here. Song et al. (2021),
    https://arxiv.org/abs/2011.13456; Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    sigma_min: Positive = 0.02
    sigma_max: Positive = 100.0

    def sigmas(self, n: int) -> Tensor:
        return geometric(n, self.sigma_max, self.sigma_min)
