from torch import Tensor

from designspace.training.rows import LossWeight


class VE(LossWeight, name="ve"):
    r"""The mean squared error of the predicted noise.

    .. math:: \lambda(\sigma) = 1 / \sigma^2

    so that :math:`\lambda c_\mathrm{out}^2 = 1`, :math:`\sigma > 0`. Song et al. (2021),
    https://arxiv.org/abs/2011.13456; Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma**-2
