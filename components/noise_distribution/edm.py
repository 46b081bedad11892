from torch import Tensor

from designspace.registry.component import Finite, Positive
from designspace.sampling.levels import log_normal
from designspace.training.rows import NoiseDistribution


class EDM(NoiseDistribution, name="edm"):
    r"""Log-normal: training looks most where progress can be made.

    .. math:: \ln \sigma \sim \mathcal N(P_\mathrm{mean}, P_\mathrm{std}^2), \quad
        \sigma = e^{P_\mathrm{mean} + P_\mathrm{std} \Phi^{-1}(u)}, \quad 0 < u < 1

    ``from_uniform`` raises ``ValueError`` for u outside of the open interval. Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Table 1 and Section 5.
    """

    P_mean: Finite = -1.2
    P_std: Positive = 1.2

    def from_uniform(self, u: Tensor) -> Tensor:
        return log_normal(u, self.P_mean, self.P_std, self.name)
