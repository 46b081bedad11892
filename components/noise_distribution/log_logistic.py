import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from designspace.registry.component import Finite, NonNegative, Positive
from designspace.registry.literature import CROWSON_2022
from designspace.training.rows import NoiseDistribution


class LogLogistic(NoiseDistribution, name="log_logistic"):
    r"""Logistic in the logarithm: like a log-normal distribution with heavier tails, cut to a range.

    By default, half of the levels are below 0.5, the ``sigma_data`` of EDM, and the range is not limited. With ``loc``
    = 0 and ``scale`` = 1, the time of flow matching :math:`t = \sigma / (1 + \sigma)` is uniform in (0, 1), as in
    rectified flow. Crowson (2022), whose loc is :math:`\ln\sigma_\mathrm{data}`.
    """

    formula = r"""
        \ln\sigma = \mathrm{loc} + \mathrm{scale} \ln\frac{v}{1 - v}, \quad
            v = v_\min + u (v_\max - v_\min), \quad 0 < u < 1
    """
    sources = (CROWSON_2022,)
    loc: Finite = math.log(0.5)
    scale: Positive = 0.5
    sigma_min: NonNegative = 0.0
    sigma_max: Annotated[float, Field(gt=0)] = math.inf

    def from_uniform(self, u: Tensor) -> Tensor:
        low, high = self._ends()
        return (self.loc + self.scale * (low + u * (high - low)).logit()).exp()

    def density(self, sigma: Tensor) -> Tensor:
        low, high = self._ends()
        z = (sigma.log() - self.loc) / self.scale
        return z.sigmoid() * (-z).sigmoid() / (self.scale * (high - low))

    def _ends(self) -> tuple[float, float]:
        """The probabilities of levels below ``sigma_min`` and below ``sigma_max`` if the range were not limited."""
        ends = torch.tensor([self.sigma_min, self.sigma_max], dtype=torch.float64)
        low, high = ((ends.log() - self.loc) / self.scale).sigmoid().tolist()
        return low, high
