"""Your own component: a class in a file that an ablation names. Nothing else has to be edited."""

import math

import torch
from torch import Tensor

from designspace import TimeSteps
from designspace.component import Positive
from designspace.noise_levels import ramp


class Cosine(TimeSteps, name="cosine"):
    r"""Uniform in the time of the cosine schedule, whose signal falls like a cosine.

    .. math:: \sigma_i = \tan \theta_i, \qquad \theta_i = \theta_0 + \tfrac{i}{N-1} (\theta_{N-1} - \theta_0),
        \quad \theta_0 = \arctan \sigma_\max, \; \theta_{N-1} = \arctan \sigma_\min

    since :math:`\bar\alpha = \cos^2 \theta` and :math:`\sigma^2 = (1 - \bar\alpha) / \bar\alpha`. Half of the levels
    are below sigma = 1. Nichol and Dhariwal (2021), https://arxiv.org/abs/2102.09672, Eq. 17.
    """

    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def sigmas(self, n: int) -> Tensor:
        start, end = math.atan(self.sigma_max), math.atan(self.sigma_min)
        return torch.tan(start + ramp(n) * (end - start))
