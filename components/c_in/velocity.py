from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import SALIMANS_2022


class Velocity(CIn, name="velocity"):
    r"""Scales the input to the sample of unit variance that the velocity is defined on.

    With :math:`\sigma = \tan\phi` and data of unit variance the input is :math:`z = y \cos\phi + n \sin\phi`, and the
    scaling is :math:`\cos\phi`. The component equals ``edm`` except that ``sigma_data`` is 1 by default. Salimans and
    Ho (2022), Section 4 and Appendix D.
    """

    formula = r"c_\mathrm{in} = 1 / \sqrt{\sigma^2 + \sigma_\mathrm{data}^2}"
    sources = (SALIMANS_2022,)
    sigma_data: SigmaData = 1.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + self.sigma_data**2).rsqrt()
