from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.registry.literature import LIPMAN_2023, LIU_2022_RECTIFIED_FLOW


class Flow(CSkip, name="flow"):
    r"""The network predicts the velocity of flow matching: the slope of the straight line from the signal to the noise.

    The line is :math:`z = x / (1 + \sigma) = (1 - t)\, y + t\, n` with the time :math:`t = \sigma / (1 + \sigma)`. Its
    slope is :math:`v = dz/dt = n - y`, so that :math:`y = z - t v`. Lipman et al. (2023), Section 4.1, with
    :math:`\sigma_\min = 0`; Liu et al. (2022), Section 2.1. Both count time from the noise to the signal.
    """

    formula = r"c_\mathrm{skip} = 1 / (1 + \sigma)"
    sources = (LIPMAN_2023, LIU_2022_RECTIFIED_FLOW)

    def __call__(self, sigma: Tensor) -> Tensor:
        return 1 / (1 + sigma)
