import torch
from torch import Tensor

from designspace.training.rows import LossWeight


class Uniform(LossWeight, name="uniform"):
    r"""The mean squared error of the denoised sample.

    .. math:: \lambda(\sigma) = 1

    at every :math:`\sigma > 0`: high noise, where the error is largest, has nearly all of the loss unless the noise
    distribution avoids it. With c_skip ``zero`` the loss is the same at every level at first. Salimans and Ho (2022),
    https://arxiv.org/abs/2202.00512, Section 4: the prediction of x, not weighted by the SNR.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
