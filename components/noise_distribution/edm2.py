from torch import Tensor

from designspace.registry.component import Finite, Positive
from designspace.registry.literature import KARRAS_2024
from designspace.sampling.levels import log_normal, log_normal_density
from designspace.training.rows import NoiseDistribution


class EDM2(NoiseDistribution, name="edm2"):
    """Log-normal, with a higher mean and a smaller spread than ``edm``.

    ``from_uniform`` raises ``ValueError`` for u outside the open interval (0, 1).
    """

    formula = r"""
        \ln \sigma \sim \mathcal N(P_\mathrm{mean}, P_\mathrm{std}^2), \quad
            \sigma = e^{P_\mathrm{mean} + P_\mathrm{std} \Phi^{-1}(u)}, \quad 0 < u < 1
    """
    sources = (KARRAS_2024,)
    P_mean: Finite = -0.4
    P_std: Positive = 1.0

    def from_uniform(self, u: Tensor) -> Tensor:
        return log_normal(u, self.P_mean, self.P_std, self.name)

    def density(self, sigma: Tensor) -> Tensor:
        return log_normal_density(sigma, self.P_mean, self.P_std)
