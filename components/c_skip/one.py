import torch
from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.registry.literature import KARRAS_2022


class One(CSkip, name="one"):
    r"""The network predicts the noise.

    as in the columns ``ddpm``, ``iddpm``, ``vp`` and ``ve``, at every :math:`\sigma \ge 0`: with their c_out, sigma or
    its negative, the target has unit variance, whatever the data, and with their loss_weight every level has the same
    loss at first. Karras et al. (2022), Section 5.
    """

    formula = r"c_\mathrm{skip} = 1"
    sources = (KARRAS_2022,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
