import torch
from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.registry.literature import KARRAS_2022


class One(CIn, name="one"):
    r"""No input scaling: the network sees the noisy sample itself, whose variance grows with the noise.

    It equals c_in ``ve`` and is defined for every :math:`\sigma \ge 0`. The variance of the input is :math:`\sigma^2 +
    \sigma_\mathrm{data}^2`, up to 6400 at :math:`\sigma = 80`. Karras et al. (2022), Section 5.
    """

    formula = r"c_\mathrm{in} = 1"
    sources = (KARRAS_2022,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
