from torch import Tensor

from designspace.denoising.rows import COut


class VP(COut, name="vp"):
    r"""The network predicts the noise.

    .. math:: c_\mathrm{out} = -\sigma

    An error of the network is amplified by sigma. Song et al. (2021), https://arxiv.org/abs/2011.13456; Karras et
    al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma
