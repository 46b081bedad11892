import torch
from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.registry.literature import KARRAS_2022


class One(CSkip, name="one"):
    r"""The network predicts the noise, at every :math:`\sigma \ge 0`.

    It equals c_skip ``ddpm``, ``iddpm``, ``vp`` and ``ve``. With their c_out, which is sigma or its negative, the
    target has unit variance whatever the data are; with their loss_weight, every noise level has the same loss when
    training begins. Karras et al. (2022), Section 5.
    """

    formula = r"c_\mathrm{skip} = 1"
    sources = (KARRAS_2022,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
