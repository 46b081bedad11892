import math

import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.levels import log_uniform
from designspace.training.rows import NoiseDistribution


class UniformLog(NoiseDistribution, name="uniform_log"):
    """Log-uniform over the range of EDM's sampler: each octave is equally likely.

    The component equals ``ve`` with another range, that of Karras et al. (2022), Table 1, time steps, column EDM.
    """

    formula = r"""
        \ln \sigma \sim \mathcal U(\ln \sigma_\min, \ln \sigma_\max), \quad
            \sigma = \sigma_\min (\sigma_\max / \sigma_\min)^u, \quad 0 \le u \le 1
    """
    sources = (SONG_2021, KARRAS_2022)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def from_uniform(self, u: Tensor) -> Tensor:
        return log_uniform(u, self.sigma_min, self.sigma_max)

    def density(self, sigma: Tensor) -> Tensor:
        return torch.full_like(sigma, 1 / math.log(self.sigma_max / self.sigma_min))
