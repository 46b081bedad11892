from torch import Tensor

from designspace.component import Count, Positive
from designspace.noise_levels import iddpm_levels
from designspace.table1 import NoiseDistribution


class IDDPM(NoiseDistribution, name="iddpm"):
    r"""Each of the M trained noise levels is as likely as the others.

    .. math:: \sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor

    with the levels :math:`u_j` of the time steps ``iddpm``. Nichol and Dhariwal (2021),
    https://arxiv.org/abs/2102.09672; Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    M: Count = 1000
    C_1: Positive = 0.001
    C_2: Positive = 0.008

    def from_uniform(self, u: Tensor) -> Tensor:
        j = (u * self.M).floor().long().clamp(0, self.M - 1)
        return iddpm_levels(self.M, self.C_1, self.C_2)[j]
