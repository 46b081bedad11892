from torch import Tensor

from designspace.denoising.rows import CIn
from designspace.registry.literature import LIPMAN_2023, LIU_2022_RECTIFIED_FLOW


class Flow(CIn, name="flow"):
    r"""Scales the input to the point of flow matching on the straight line from the signal to the noise.

    The input is :math:`z = (1 - t)\, y + t\, n` with :math:`t = \sigma / (1 + \sigma)`. For data of unit variance its
    variance falls to 1/2 at :math:`\sigma = 1` and is 1 at both ends. Lipman et al. (2023), Section 4.1; Liu et al.
    (2022), Section 2.1.
    """

    formula = r"c_\mathrm{in} = 1 / (1 + \sigma)"
    sources = (LIPMAN_2023, LIU_2022_RECTIFIED_FLOW)

    def __call__(self, sigma: Tensor) -> Tensor:
        return 1 / (1 + sigma)
