from torch import Tensor

from designspace.component import Count, Fraction
from designspace.noise_levels import ddpm_levels
from designspace.table1 import NoiseDistribution


class DDPM(NoiseDistribution, name="ddpm"):
    r"""Each of the M trained noise levels is as likely as the others.

    .. math:: \sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor

    with the levels :math:`u_j` of the time steps ``ddpm``. Ho et al. (2020), https://arxiv.org/abs/2006.11239;
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 (column iDDPM).
    """

    M: Count = 1000
    beta_1: Fraction = 1e-4
    beta_M: Fraction = 0.02

    def from_uniform(self, u: Tensor) -> Tensor:
        j = (u * self.M).floor().long().clamp(0, self.M - 1)
        return ddpm_levels(self.M, self.beta_1, self.beta_M)[j]
