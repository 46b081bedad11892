from torch import Tensor

from designspace.registry.component import Finite, Positive
from designspace.registry.literature import HANG_2024
from designspace.training.rows import NoiseDistribution


class Laplace(NoiseDistribution, name="laplace"):
    r"""Laplacian in the logarithm: concentrated around a noise level, by default 1, with exponential tails.

    The paper states the location :math:`\mu` and the scale b of the log-SNR, :math:`-2 \ln\sigma`: ``loc`` is
    :math:`-\mu / 2`, and ``scale`` is :math:`b / 2`. The defaults are the recommended :math:`\mu = 0` and :math:`b =
    0.5`. Hang et al. (2024).
    """

    formula = r"""
        \ln\sigma = \mathrm{loc} - \mathrm{scale}\, \mathrm{sgn}(u - \tfrac12) \ln(1 - 2 |u - \tfrac12|),
            \quad 0 < u < 1
    """
    sources = (HANG_2024,)
    loc: Finite = 0.0
    scale: Positive = 0.25

    def from_uniform(self, u: Tensor) -> Tensor:
        away = -(2 * u.minimum(1 - u)).log()
        return (self.loc + self.scale * away.where(u > 0.5, -away)).exp()

    def density(self, sigma: Tensor) -> Tensor:
        return (-(sigma.log() - self.loc).abs() / self.scale).exp() / (2 * self.scale)
