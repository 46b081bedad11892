from torch import Tensor

from designspace.registry.component import NonNegative, Positive
from designspace.registry.literature import CHOI_2022
from designspace.training.rows import LossWeight


class P2(LossWeight, name="p2"):
    r"""Perception-prioritized: the error of the noise, weighted less where little noise has to be removed.

    The weight of the error of the noise is :math:`(k + \mathrm{SNR})^{-\gamma}`. With ``gamma`` = 0 it is 1, as in
    ``ddpm``; the paper uses 0.5 and 1. With ``k`` = 1 and ``gamma`` = 1, :math:`\lambda = 1 / (1 + \sigma^2)`, which is
    ``sigmoid`` with a bias of 0. Choi et al. (2022).
    """

    formula = r"\lambda(\sigma) = \sigma^{-2} / (k + \sigma^{-2})^\gamma"
    sources = (CHOI_2022,)
    k: Positive = 1.0
    gamma: NonNegative = 1.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma**-2 / (self.k + sigma**-2) ** self.gamma
