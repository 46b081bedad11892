from torch import Tensor

from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import SALIMANS_2022
from designspace.training.rows import LossWeight


class Velocity(LossWeight, name="velocity"):
    r"""The mean squared error of the predicted velocity, which is the weight SNR + 1 on the error of D.

    With c_out ``velocity``, :math:`\lambda c_\mathrm{out}^2 = 1` for :math:`\sigma > 0`. For data of unit variance
    (``sigma_data`` = 1) the signal-to-noise ratio is :math:`1 / \sigma^2`. The component equals ``edm`` except for the
    default. Salimans and Ho (2022), Section 4.
    """

    formula = r"\lambda(\sigma) = 1 / \sigma^2 + 1 / \sigma_\mathrm{data}^2"
    sources = (SALIMANS_2022,)
    sigma_data: SigmaData = 1.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma**-2 + self.sigma_data**-2
