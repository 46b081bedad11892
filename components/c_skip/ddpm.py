import torch
from torch import Tensor

from designspace.denoising.rows import CSkip


class DDPM(CSkip, name="ddpm"):
    r"""The network predicts the noise.

    .. math:: c_\mathrm{skip} = 1

    Ho et al. (2020), https://arxiv.org/abs/2006.11239; Karras et al. (2022), https://arxiv.org/abs/2206.00364,
    Table 1 (column iDDPM).
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
