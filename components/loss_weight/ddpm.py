from torch import Tensor

from designspace.training.rows import LossWeight


class DDPM(LossWeight, name="ddpm"):
    r"""The mean squared error of the predicted noise.

    .. math:: \lambda(\sigma) = 1 / \sigma^2

    so that :math:`\lambda c_\mathrm{out}^2 = 1`, :math:`\sigma > 0`. Ho et al. (2020),
    https://arxiv.org/abs/2006.11239; Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 (column
    iDDPM).
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma**-2
