from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import SALIMANS_2022


class Velocity(CSkip, name="velocity"):
    r"""The network predicts the velocity: the derivative of the noisy sample with respect to the angle of the noise.

    With :math:`\sigma = \tan\phi`, the sample of unit variance :math:`z = y \cos\phi + n \sin\phi` has the velocity
    :math:`v = dz/d\phi`, and :math:`y = z \cos\phi - v \sin\phi`. This holds for :math:`\sigma_\mathrm{data} = 1`, the
    standard deviation of the paper's data; in general, y and :math:`\sigma` are in units of ``sigma_data``. The
    component equals ``edm`` except for the default. Salimans and Ho (2022), Section 4 and Appendix D.
    """

    formula = r"c_\mathrm{skip} = \sigma_\mathrm{data}^2 / (\sigma^2 + \sigma_\mathrm{data}^2)"
    sources = (SALIMANS_2022,)
    sigma_data: SigmaData = 1.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return self.sigma_data**2 / (sigma**2 + self.sigma_data**2)
