from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import SALIMANS_2022


class Velocity(CIn, name="velocity"):
    r"""The sample of unit variance :math:`z = y \cos\phi + n \sin\phi`, with :math:`\sigma = \tan\phi`.

    that is :math:`\cos\phi` for data of standard deviation ``sigma_data`` = 1. It is ``edm`` with another default.
    Salimans and Ho (2022), Section 4 and Appendix D.
    """

    formula = r"c_\mathrm{in} = 1 / \sqrt{\sigma^2 + \sigma_\mathrm{data}^2}"
    sources = (SALIMANS_2022,)
    sigma_data: SigmaData = 1.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + self.sigma_data**2).rsqrt()
