from torch import Tensor

from designspace.denoising.rows import CIn


class DDPM(CIn, name="ddpm"):
    r"""Unit variance of the input, for data of unit variance.

    .. math:: c_\mathrm{in} = 1 / \sqrt{\sigma^2 + 1}

    Ho et al. (2020), https://arxiv.org/abs/2006.11239; Karras et al. (2022), https://arxiv.org/abs/2206.00364,
    Table 1 (column iDDPM).
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + 1).rsqrt()
