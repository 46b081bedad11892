"""Your own component: a class in a file that an ablation names. Nothing else has to be edited."""

import math

from torch import Tensor

from designspace import Positive, TimeSteps
from designspace.sampling.levels import ramp


class Sinh(TimeSteps, name="sinh"):
    """Geometric above the noise level ``knee``, kappa in the formula, and evenly spaced below."""

    formula = r"\sigma_i = \kappa \sinh\theta_i, \quad \theta_{i+1} - \theta_i = \mathrm{const}"
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    knee: Positive = 0.1

    def sigmas(self, n: int) -> Tensor:
        start, end = (math.asinh(sigma / self.knee) for sigma in (self.sigma_max, self.sigma_min))
        return self.knee * (start + ramp(n) * (end - start)).sinh()
