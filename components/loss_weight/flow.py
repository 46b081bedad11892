from torch import Tensor

from designspace.registry.literature import LIPMAN_2023, LIU_2022_RECTIFIED_FLOW
from designspace.training.rows import LossWeight


class Flow(LossWeight, name="flow"):
    r"""The mean squared error of the predicted velocity :math:`v = n - y` of flow matching.

    The velocity that belongs to a denoised sample D is :math:`(z - D) / t` with :math:`z = (1 - t)\, y + t\, n` and
    :math:`t = \sigma / (1 + \sigma)`. Its error is therefore :math:`|D - y|^2 / t^2`, whatever the network predicts.
    Lipman et al. (2023), Eq. 23; Liu et al. (2022), Eq. 1.
    """

    formula = r"\lambda(\sigma) = (1 + \sigma)^2 / \sigma^2"
    sources = (LIPMAN_2023, LIU_2022_RECTIFIED_FLOW)

    def __call__(self, sigma: Tensor) -> Tensor:
        return ((1 + sigma) / sigma) ** 2
