from torch import Tensor

from designspace.denoising.rows import COut
from designspace.denoising.sigma_data import SigmaData


class EDM(COut, name="edm"):
    r"""Unit variance of the target; errors of the network are never amplified beyond ``sigma_data``.

    .. math:: c_\mathrm{out} = \sigma \sigma_\mathrm{data} / \sqrt{\sigma^2 + \sigma_\mathrm{data}^2}

    ``sigma_data`` is the standard deviation of the data.
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 and Appendix B.6.
    """

    sigma_data: SigmaData = 0.5

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()
