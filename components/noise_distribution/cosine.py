import math

import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import SALIMANS_2022
from designspace.training.rows import NoiseDistribution


class Cosine(NoiseDistribution, name="cosine"):
    r"""Uniform in the time of the cosine schedule, in which the signal falls like a cosine.

    This follows from :math:`\bar\alpha = \cos^2\phi`. Half of the levels are below 1. The range is that of the time
    steps ``cosine`` and of EDM's sampler; the paper uses a log-SNR of -20 to 20. Salimans and Ho (2022), Appendix D.
    """

    formula = r"""
        \sigma = \tan\phi, \quad
            \phi = \arctan\sigma_\min + u (\arctan\sigma_\max - \arctan\sigma_\min), \quad 0 \le u \le 1
    """
    sources = (SALIMANS_2022,)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def from_uniform(self, u: Tensor) -> Tensor:
        low, high = math.atan(self.sigma_min), math.atan(self.sigma_max)
        return torch.tan(low + u * (high - low))

    def density(self, sigma: Tensor) -> Tensor:
        return sigma / (1 + sigma**2) / (math.atan(self.sigma_max) - math.atan(self.sigma_min))
