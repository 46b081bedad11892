from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.denoising.sigma_data import SigmaData


class EDM(CIn, name="edm"):
    r"""Unit variance of the input.

    .. math:: c_\mathrm{in} = 1 / \sqrt{\sigma^2 + \sigma_\mathrm{data}^2}

    ``sigma_data`` is the standard deviation of the data.
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 and Appendix B.6.
    """

    sigma_data: SigmaData = 0.5

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + self.sigma_data**2).rsqrt()
