import math
from typing import Annotated

import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.identity import Since
from designspace.registry.literature import NICHOL_2021, SABOUR_2024
from designspace.sampling.levels import ramp
from designspace.sampling.rows import TimeSteps


class Cosine(TimeSteps, name="cosine"):
    r"""Uniform in the time of the cosine schedule, in which the signal falls like a cosine.

    The formula follows from :math:`\bar\alpha = \cos^2\theta` and :math:`\sigma^2 = (1 - \bar\alpha) / \bar\alpha`.
    On a wide range, half of the levels are below ``scale``, and few are above ten times ``scale``. The paper's offset s
    affects only the ends, which are fields here. Nichol and Dhariwal (2021), Eq. 17.

    The same levels are known as ``kl_optimal``: for Gaussian data with the standard deviation ``scale``, they minimise
    a bound on the KL divergence of the samples. Sabour et al. (2024), Theorem 3.1, with ``scale`` = 1.
    """

    formula = r"""
        \sigma_i = \mathrm{scale} \cdot \tan\theta_i, \qquad \theta_i = \theta_0
            + \tfrac{i}{N-1} (\theta_{N-1} - \theta_0), \quad i < N, \qquad
            \theta_0 = \arctan\tfrac{\sigma_\max}{\mathrm{scale}}, \quad
            \theta_{N-1} = \arctan\tfrac{\sigma_\min}{\mathrm{scale}}
    """
    sources = (NICHOL_2021, SABOUR_2024)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    scale: Annotated[Positive, Since(1.0)] = 1.0

    def sigmas(self, n: int) -> Tensor:
        start, end = math.atan(self.sigma_max / self.scale), math.atan(self.sigma_min / self.scale)
        return self.scale * torch.tan(start + ramp(n) * (end - start))
