from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import KARRAS_2022


class EDM(CIn, name="edm"):
    """Scales the input to unit variance.

    ``sigma_data`` is the root mean square of the data. Karras et al. (2022), Table 1 and Appendix B.6.
    """

    formula = r"c_\mathrm{in} = 1 / \sqrt{\sigma^2 + \sigma_\mathrm{data}^2}"
    sources = (KARRAS_2022,)
    sigma_data: SigmaData = 0.5

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + self.sigma_data**2).rsqrt()
