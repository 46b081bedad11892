from torch import Tensor

from designspace.denoising.rows import CNoise
from designspace.registry.literature import KARRAS_2022


class EDM(CNoise, name="edm"):
    """A quarter of the logarithm of the noise level.

    Karras et al. (2022), Table 1 and Appendix B.6.
    """

    formula = r"c_\mathrm{noise} = \tfrac14 \ln \sigma"
    sources = (KARRAS_2022,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma.log() / 4
