import torch
from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.registry.literature import KARRAS_2022, SONG_2021


class VE(CIn, name="ve"):
    """No input scaling: the network sees the noisy sample itself.

    Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{in} = 1"
    sources = (SONG_2021, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
