from torch import Tensor

from designspace.denoising.rows import COut
from designspace.registry.literature import KARRAS_2022, SONG_2021


class VP(COut, name="vp"):
    """The network predicts the noise.

    An error of the network is multiplied by sigma. Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{out} = -\sigma"
    sources = (SONG_2021, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma
