from torch import Tensor

from designspace.denoising.rows import CIn


class VP(CIn, name="vp"):
    r"""Unit variance of the input, for data of unit variance.

    .. math:: c_\mathrm{in} = 1 / \sqrt{\sigma^2 + 1}

    Song et al. (2021), https://arxiv.org/abs/2011.13456; Karras et al. (2022), https://arxiv.org/abs/2206.00364,
    Table 1.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + 1).rsqrt()
