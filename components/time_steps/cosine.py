import math

import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import NICHOL_2021
from designspace.sampling.levels import ramp
from designspace.sampling.rows import TimeSteps


class Cosine(TimeSteps, name="cosine"):
    r"""Uniform in the time of the cosine schedule, in which the signal falls like a cosine.

    The formula follows from :math:`\bar\alpha = \cos^2\theta` and :math:`\sigma^2 = (1 - \bar\alpha) / \bar\alpha`.
    Half of the levels are below 1, and few are above 10. The paper's offset s affects only the ends, which are fields
    here. Nichol and Dhariwal (2021), Eq. 17.
    """

    formula = r"""
        \sigma_i = \tan\theta_i, \qquad \theta_i = \arctan\sigma_\max
            + \tfrac{i}{N-1} (\arctan\sigma_\min - \arctan\sigma_\max), \quad i < N
    """
    sources = (NICHOL_2021,)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def sigmas(self, n: int) -> Tensor:
        start, end = math.atan(self.sigma_max), math.atan(self.sigma_min)
        return torch.tan(start + ramp(n) * (end - start))
