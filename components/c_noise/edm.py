from torch import Tensor

from designspace.denoising.rows import CNoise


class EDM(CNoise, name="edm"):
    r"""A quarter of the logarithm.

    .. math:: c_\mathrm{noise} = \tfrac14 \ln \sigma

    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 and Appendix B.6.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma.log() / 4
