from torch import Tensor

from designspace.registry.literature import SALIMANS_2022
from designspace.training.rows import LossWeight


class TruncatedSNR(LossWeight, name="truncated_snr"):
    r"""The larger of the errors of the signal and of the noise.

    The signal-to-noise ratio is :math:`1 / \sigma^2`, with which the error of the signal becomes that of the noise.
    Without the lower bound of 1, the highest noise levels would not count. Salimans and Ho (2022), Section 4.
    """

    formula = r"\lambda(\sigma) = \max(1 / \sigma^2, 1)"
    sources = (SALIMANS_2022,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**-2).clamp(min=1.0)
