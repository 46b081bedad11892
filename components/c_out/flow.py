from torch import Tensor

from designspace.denoising.rows import COut
from designspace.registry.literature import LIPMAN_2023, LIU_2022_RECTIFIED_FLOW


class Flow(COut, name="flow"):
    r"""The network predicts the velocity :math:`v = n - y` of flow matching.

    The scaling is :math:`-t`, where :math:`t = \sigma / (1 + \sigma)` is the time on the line
    :math:`z = (1 - t)\, y + t\, n`, so that errors of the network are never amplified. Lipman et al. (2023), Section
    4.1; Liu et al. (2022), Section 2.1.
    """

    formula = r"c_\mathrm{out} = -\sigma / (1 + \sigma)"
    sources = (LIPMAN_2023, LIU_2022_RECTIFIED_FLOW)

    def __call__(self, sigma: Tensor) -> Tensor:
        return -sigma / (1 + sigma)
