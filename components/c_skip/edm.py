from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.denoising.sigma_data import SigmaData


class EDM(CSkip, name="edm"):
    r"""Smallest :math:`c_\mathrm{out}` among all that keep the target at unit variance.

    .. math:: c_\mathrm{skip} = \sigma_\mathrm{data}^2 / (\sigma^2 + \sigma_\mathrm{data}^2)

    ``sigma_data`` is the standard deviation of the data.
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 and Appendix B.6.
    """

    sigma_data: SigmaData = 0.5

    def __call__(self, sigma: Tensor) -> Tensor:
        return self.sigma_data**2 / (sigma**2 + self.sigma_data**2)
