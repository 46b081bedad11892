import torch
from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.registry.literature import KARRAS_2022, SONG_2021


class VE(CSkip, name="ve"):
    """The network predicts the noise with the sign of the score.

    Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{skip} = 1"
    sources = (SONG_2021, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)
