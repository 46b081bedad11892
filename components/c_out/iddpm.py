from torch import Tensor

from designspace.denoising.rows import COut


class IDDPM(COut, name="iddpm"):
    r"""The network predicts the noise.

    .. math:: c_\mathrm{out} = -\sigma

    An error of the network is amplified by sigma. Nichol and Dhariwal (2021), https://arxiv.org/abs/2102.09672;
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma
