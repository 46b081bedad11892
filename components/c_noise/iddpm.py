from torch import Tensor

from designspace.component import Count, Positive
from designspace.noise_levels import iddpm_levels, nearest
from designspace.table1 import CNoise


class IDDPM(CNoise, name="iddpm"):
    r"""The index of the nearest noise level that the network was trained on; it grows with the noise.

    .. math:: c_\mathrm{noise} = M - 1 - \arg\min_j |u_j - \sigma|, \quad j \le M

    with the levels :math:`u_j` of the time steps ``iddpm``. The network supports :math:`u_{M-1}` to :math:`u_0` and
    rounds to its levels; :math:`u_M = 0` has the index -1. Nichol and Dhariwal (2021),
    https://arxiv.org/abs/2102.09672; Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    M: Count = 1000
    C_1: Positive = 0.001
    C_2: Positive = 0.008

    def __call__(self, sigma: Tensor) -> Tensor:
        return (self.M - 1 - nearest(self._levels(), sigma)).to(sigma.dtype)

    def limits(self) -> tuple[float, float]:
        u = self._levels()
        return float(u[-2]), float(u[0])

    def round_sigma(self, sigma: Tensor) -> Tensor:
        return self._levels()[nearest(self._levels(), sigma)]

    def _levels(self) -> Tensor:
        return iddpm_levels(self.M, self.C_1, self.C_2)
