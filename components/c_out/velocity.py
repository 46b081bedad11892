from torch import Tensor

from designspace.denoising.rows import COut
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import SALIMANS_2022


class Velocity(COut, name="velocity"):
    r"""The network predicts the velocity :math:`v = dz/d\phi` of :math:`z = y \cos\phi + n \sin\phi`.

    that is :math:`-\sin\phi` with :math:`\sigma = \tan\phi` for data of standard deviation ``sigma_data`` = 1. It is
    ``edm`` with the sign of v, which points from the signal to the noise. An error of the network is never amplified
    beyond ``sigma_data``. Salimans and Ho (2022), Section 4 and Appendix D.
    """

    formula = r"c_\mathrm{out} = -\sigma \sigma_\mathrm{data} / \sqrt{\sigma^2 + \sigma_\mathrm{data}^2}"
    sources = (SALIMANS_2022,)
    sigma_data: SigmaData = 1.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()
