import torch
from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.registry.literature import HO_2020, KARRAS_2022


class DDPM(CSkip, name="ddpm"):
    """The network predicts the noise, which is subtracted from the sample.

    Karras et al. (2022), Table 1 (column iDDPM).
    """

    formula = r"c_\mathrm{skip} = 1"
    sources = (HO_2020, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
