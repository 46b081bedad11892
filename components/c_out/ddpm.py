from torch import Tensor

from designspace.denoising.rows import COut
from designspace.registry.literature import HO_2020, KARRAS_2022


class DDPM(COut, name="ddpm"):
    """The network predicts the noise.

    An error of the network is multiplied by sigma. Karras et al. (2022), Table 1 (column iDDPM).
    """

    formula = r"c_\mathrm{out} = -\sigma"
    sources = (HO_2020, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma
