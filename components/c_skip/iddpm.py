import torch
from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.registry.literature import KARRAS_2022, NICHOL_2021


class IDDPM(CSkip, name="iddpm"):
    """The network predicts the noise, which is subtracted from the sample.

    Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{skip} = 1"
    sources = (NICHOL_2021, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
