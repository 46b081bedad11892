import torch
from torch import Tensor

from designspace.registry.literature import SALIMANS_2022
from designspace.training.rows import LossWeight


class Uniform(LossWeight, name="uniform"):
    r"""The mean squared error of the denoised sample.

    at every :math:`\sigma > 0`: high noise, where the error is largest, has nearly all of the loss unless the noise
    distribution avoids it. With c_skip ``zero`` the loss is the same at every level at first. Salimans and Ho (2022),
    Section 4: the prediction of x, not weighted by the SNR.
    """

    formula = r"\lambda(\sigma) = 1"
    sources = (SALIMANS_2022,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
