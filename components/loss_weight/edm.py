from torch import Tensor

from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import KARRAS_2022
from designspace.training.rows import LossWeight


class EDM(LossWeight, name="edm"):
    """Gives every noise level the same loss when training begins.

    ``sigma_data`` is the root mean square of the data. Karras et al. (2022), Table 1 and Appendix B.6.
    """

    formula = r"""
        \lambda(\sigma) = (\sigma^2 + \sigma_\mathrm{data}^2) / (\sigma \sigma_\mathrm{data})^2
            = 1 / c_\mathrm{out}^2
    """
    sources = (KARRAS_2022,)
    sigma_data: SigmaData = 0.5

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2
