from torch import Tensor

from designspace.denoising.rows import COut
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import SALIMANS_2022


class Velocity(COut, name="velocity"):
    r"""The network predicts the velocity :math:`v = dz/d\phi` of the sample :math:`z = y \cos\phi + n \sin\phi`.

    With :math:`\sigma = \tan\phi` and data of unit variance (``sigma_data`` = 1), the scaling is :math:`-\sin\phi`. The
    component equals ``edm`` with the opposite sign, because v points from the signal to the noise. Errors of the
    network are multiplied by ``sigma_data`` at most. Salimans and Ho (2022), Section 4 and Appendix D.
    """

    formula = r"c_\mathrm{out} = -\sigma \sigma_\mathrm{data} / \sqrt{\sigma^2 + \sigma_\mathrm{data}^2}"
    sources = (SALIMANS_2022,)
    sigma_data: SigmaData = 1.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()
