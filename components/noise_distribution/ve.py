import math

import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.levels import log_uniform
from designspace.training.rows import NoiseDistribution


class VE(NoiseDistribution, name="ve"):
    """Log-uniform: each octave of noise levels is equally likely.

    Karras et al. (2022), Table 1.
    """

    formula = r"""
        \ln \sigma \sim \mathcal U(\ln \sigma_\min, \ln \sigma_\max), \quad
            \sigma = \sigma_\min (\sigma_\max / \sigma_\min)^u
    """
    sources = (SONG_2021, KARRAS_2022)
    sigma_min: Positive = 0.02
    sigma_max: Positive = 100.0

    def from_uniform(self, u: Tensor) -> Tensor:
        return log_uniform(u, self.sigma_min, self.sigma_max)

    def density(self, sigma: Tensor) -> Tensor:
        return torch.full_like(sigma, 1 / math.log(self.sigma_max / self.sigma_min))
