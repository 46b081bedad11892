"""Your own component: a class in a file that an ablation names. Nothing else has to be edited."""

import math

from torch import Tensor

from designspace import Positive, TimeSteps
from designspace.sampling.levels import ramp


class Sinh(TimeSteps, name="sinh"):
    """Geometric above the noise level ``knee``, which is kappa in the formula, and evenly spaced below it."""

    formula = r"""
        \sigma_i = \kappa \sinh\theta_i, \qquad \theta_i = \theta_0 + \tfrac{i}{N-1} (\theta_{N-1} - \theta_0),
        \quad \theta_0 = \mathrm{arsinh}(\sigma_\max / \kappa), \; \theta_{N-1} = \mathrm{arsinh}(\sigma_\min / \kappa)
    """

    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    knee: Positive = 0.1

    def sigmas(self, n: int) -> Tensor:
        start, end = math.asinh(self.sigma_max / self.knee), math.asinh(self.sigma_min / self.knee)
        return self.knee * (start + ramp(n) * (end - start)).sinh()
