from torch import Tensor

from designspace.denoising.rows import CIn


class IDDPM(CIn, name="iddpm"):
    r"""Unit variance of the input, for data of unit variance.

    .. math:: c_\mathrm{in} = 1 / \sqrt{\sigma^2 + 1}

    Nichol and Dhariwal (2021), https://arxiv.org/abs/2102.09672; Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Table 1.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + 1).rsqrt()
