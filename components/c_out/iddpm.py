from torch import Tensor

from designspace.denoising.rows import COut
from designspace.registry.literature import KARRAS_2022, NICHOL_2021


class IDDPM(COut, name="iddpm"):
    """The network predicts the noise.

    An error of the network is multiplied by sigma. Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{out} = -\sigma"
    sources = (NICHOL_2021, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma
