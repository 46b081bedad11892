from typing import Annotated, Literal

from torch import Tensor

from designspace.denoising.rows import CNoise
from designspace.registry.component import Positive
from designspace.registry.identity import Since
from designspace.registry.literature import ESSER_2024, LIPMAN_2023


class Flow(CNoise, name="flow"):
    r"""The time of flow matching, :math:`t = \sigma / (1 + \sigma)`, multiplied by M.

    ``M`` = 1000 is the convention of SD3 and of diffusers. Networks that take t in [0, 1] need ``M`` = 1. Where time
    runs from the noise to the signal, ``toward`` is ``signal``, and t is replaced by :math:`1 - t`. Lipman et al.
    (2023), Section 4.1, who count toward the signal; Esser et al. (2024), Section 2.
    """

    formula = r"""
        c_\mathrm{noise} = M \sigma / (1 + \sigma) \text{ toward the noise}, \quad
            M / (1 + \sigma) \text{ toward the signal}
    """
    sources = (LIPMAN_2023, ESSER_2024)
    M: Positive = 1000.0
    toward: Annotated[Literal["noise", "signal"], Since("noise")] = "noise"

    def __call__(self, sigma: Tensor) -> Tensor:
        return self.M / (1 + sigma) if self.toward == "signal" else self.M * sigma / (1 + sigma)
