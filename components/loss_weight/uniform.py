import torch
from torch import Tensor

from designspace.registry.literature import SALIMANS_2022
from designspace.training.rows import LossWeight


class Uniform(LossWeight, name="uniform"):
    """The mean squared error of the denoised sample, unweighted.

    High noise, where the error is largest, makes up nearly all of the loss unless the noise distribution avoids it.
    With c_skip ``zero`` every noise level has the same loss when training begins. It is the loss of Salimans and Ho
    (2022), Section 4, on the predicted x, but without the weight SNR.
    """

    formula = r"\lambda(\sigma) = 1"
    sources = (SALIMANS_2022,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
