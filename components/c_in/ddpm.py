from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.registry.literature import HO_2020, KARRAS_2022


class DDPM(CIn, name="ddpm"):
    """Scales the input to unit variance for data of unit variance.

    Karras et al. (2022), Table 1 (column iDDPM).
    """

    formula = r"c_\mathrm{in} = 1 / \sqrt{\sigma^2 + 1}"
    sources = (HO_2020, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + 1).rsqrt()
