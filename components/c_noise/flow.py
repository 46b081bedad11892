from torch import Tensor

from designspace.denoising.rows import CNoise
from designspace.registry.component import Positive
from designspace.registry.literature import ESSER_2024, LIPMAN_2023


class Flow(CNoise, name="flow"):
    r"""The time of flow matching, :math:`t = \sigma / (1 + \sigma)`, multiplied by M.

    ``M`` = 1000 is the convention of SD3 and of diffusers. Networks that take t in [0, 1] need ``M`` = 1. Lipman et al.
    (2023), Section 4.1; Esser et al. (2024), Section 2.
    """

    formula = r"c_\mathrm{noise} = M \sigma / (1 + \sigma)"
    sources = (LIPMAN_2023, ESSER_2024)
    M: Positive = 1000.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return self.M * sigma / (1 + sigma)
