from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.levels import ramp
from designspace.sampling.rows import TimeSteps


class EDM(TimeSteps, name="edm"):
    r"""Uniform in :math:`\sigma^{1/\rho}`.

    ``rho`` = 1 is uniform in sigma, and the limit of large ``rho`` is geometric. A ``rho`` of 3 nearly equalises the
    truncation errors of the steps of Heun's method; for images, 5 to 10 is best. Karras et al. (2022), Eq. 5.
    """

    formula = r"""
        \sigma_i = \left(\sigma_\max^{1/\rho}
            + \tfrac{i}{N-1} (\sigma_\min^{1/\rho} - \sigma_\max^{1/\rho})\right)^\rho, \quad i < N
    """
    sources = (KARRAS_2022,)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    rho: Positive = 7.0

    def sigmas(self, n: int) -> Tensor:
        start, end = float(self.sigma_max ** (1 / self.rho)), float(self.sigma_min ** (1 / self.rho))
        return (start + ramp(n) * (end - start)) ** self.rho
