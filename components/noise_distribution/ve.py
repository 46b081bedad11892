from torch import Tensor

from designspace.registry.component import Positive
from designspace.sampling.levels import log_uniform
from designspace.training.rows import NoiseDistribution


class VE(NoiseDistribution, name="ve"):
    r"""Log-uniform.

    .. math:: \ln \sigma \sim \mathcal U(\ln \sigma_\min, \ln \sigma_\max), \quad
        \sigma = \sigma_\min (\sigma_\max / \sigma_\min)^u

    Song et al. (2021), https://arxiv.org/abs/2011.13456; Karras et al. (2022), https://arxiv.org/abs/2206.00364,
    Table 1.
    """

    sigma_min: Positive = 0.02
    sigma_max: Positive = 100.0

    def from_uniform(self, u: Tensor) -> Tensor:
        return log_uniform(u, self.sigma_min, self.sigma_max)
