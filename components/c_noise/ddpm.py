from torch import Tensor

from designspace.component import Count, Fraction
from designspace.noise_levels import ddpm_levels, nearest
from designspace.table1 import CNoise


class DDPM(CNoise, name="ddpm"):
    r"""The index of the nearest noise level that the network was trained on; it grows with the noise.

    .. math:: c_\mathrm{noise} = M - 1 - \arg\min_j |u_j - \sigma|, \quad j \le M

    with the levels :math:`u_j` of the time steps ``ddpm``. The network supports :math:`u_{M-1}` to :math:`u_0` and
    rounds to its levels; :math:`u_M = 0` has the index -1. Ho et al. (2020), https://arxiv.org/abs/2006.11239;
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 (column iDDPM).
    """

    M: Count = 1000
    beta_1: Fraction = 1e-4
    beta_M: Fraction = 0.02

    def __call__(self, sigma: Tensor) -> Tensor:
        return (self.M - 1 - nearest(self._levels(), sigma)).to(sigma.dtype)

    def limits(self) -> tuple[float, float]:
        u = self._levels()
        return float(u[-2]), float(u[0])

    def round_sigma(self, sigma: Tensor) -> Tensor:
        return self._levels()[nearest(self._levels(), sigma)]

    def _levels(self) -> Tensor:
        return ddpm_levels(self.M, self.beta_1, self.beta_M)
