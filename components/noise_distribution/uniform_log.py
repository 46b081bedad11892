from torch import Tensor

from designspace.registry.component import Positive
from designspace.sampling.levels import log_uniform
from designspace.training.rows import NoiseDistribution


class UniformLog(NoiseDistribution, name="uniform_log"):
    r"""Log-uniform on the range of EDM's sampler: as many levels in each octave.

    .. math:: \ln \sigma \sim \mathcal U(\ln \sigma_\min, \ln \sigma_\max), \quad
        \sigma = \sigma_\min (\sigma_\max / \sigma_\min)^u, \quad 0 \le u \le 1

    ``ve`` with another range. Song et al. (2021), https://arxiv.org/abs/2011.13456; the range: Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Table 1 (time steps, column EDM).
    """

    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def from_uniform(self, u: Tensor) -> Tensor:
        return log_uniform(u, self.sigma_min, self.sigma_max)
