from torch import Tensor

from designspace.training.rows import LossWeight


class IDDPM(LossWeight, name="iddpm"):
    r"""The mean squared error of the predicted noise.

    .. math:: \lambda(\sigma) = 1 / \sigma^2

    so that :math:`\lambda c_\mathrm{out}^2 = 1`, :math:`\sigma > 0`. Only the simple loss; the paper's second loss
    for the variance is left out. Nichol and Dhariwal (2021), https://arxiv.org/abs/2102.09672; Karras et al.
    (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma**-2
