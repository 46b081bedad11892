from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.registry.literature import KARRAS_2022, NICHOL_2021


class IDDPM(CIn, name="iddpm"):
    """Scales the input to unit variance for data of unit variance.

    Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{in} = 1 / \sqrt{\sigma^2 + 1}"
    sources = (NICHOL_2021, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + 1).rsqrt()
