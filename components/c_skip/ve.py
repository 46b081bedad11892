import torch
from torch import Tensor

from designspace.denoising.rows import CSkip


class VE(CSkip, name="ve"):
    r"""The network predicts the noise.

    .. math:: c_\mathrm{skip} = 1

    Song et al. (2021), https://arxiv.org/abs/2011.13456; Karras et al. (2022), https://arxiv.org/abs/2206.00364,
    Table 1.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
