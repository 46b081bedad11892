import math

from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import CROWSON_2022
from designspace.sampling.levels import ramp
from designspace.sampling.rows import TimeSteps


class Polyexponential(TimeSteps, name="polyexponential"):
    r"""Uniform in a power of :math:`\ln(\sigma / \sigma_\min)`.

    ``rho`` = 1 is uniform in :math:`\ln\sigma`, as ``logsnr``; a larger ``rho`` places more levels at low noise.
    Crowson (2022).
    """

    formula = r"""
        \ln\sigma_i = \ln\sigma_\min + \left(1 - \tfrac{i}{N-1}\right)^\rho \ln(\sigma_\max / \sigma_\min), \quad i < N
    """
    sources = (CROWSON_2022,)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    rho: Positive = 1.0

    def sigmas(self, n: int) -> Tensor:
        return self.sigma_min * ((1 - ramp(n)) ** self.rho * math.log(self.sigma_max / self.sigma_min)).exp()
