from torch import Tensor

from designspace.sampling.rows import Schedule


class VE(Schedule, name="ve"):
    r"""Variance exploding: the variance grows at a constant rate.

    .. math:: \sigma(t) = \sqrt t, \quad t \ge 0

    Song et al. (2021), https://arxiv.org/abs/2011.13456, as written in Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Table 1.
    """

    def sigma(self, t: Tensor) -> Tensor:
        return t.sqrt()

    def sigma_dot(self, t: Tensor) -> Tensor:
        return 0.5 / t.sqrt()

    def sigma_inv(self, sigma: Tensor) -> Tensor:
        return sigma**2
