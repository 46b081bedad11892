from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import HANG_2023
from designspace.training.rows import LossWeight


class MinSNR(LossWeight, name="min_snr"):
    r"""The signal-to-noise ratio, clipped at ``gamma`` so that low noise does not outweigh the rest.

    The signal-to-noise ratio is :math:`\mathrm{SNR} = 1 / \sigma^2`, which is :math:`\alpha^2 / \sigma_t^2` for the
    scaled sample :math:`\alpha y + \sigma_t n` with :math:`\sigma = \sigma_t / \alpha > 0`. The paper's weight
    :math:`\min(\mathrm{SNR}, \gamma)` multiplies the error of the predicted signal, as it does here. For the error of
    the noise, :math:`|D - y|^2 / \sigma^2`, the same weight is :math:`\min(1, \gamma \sigma^2)`; for that of the
    velocity it is :math:`\min(\mathrm{SNR}, \gamma) / (\mathrm{SNR} + 1)`. Hang et al. (2023), Section 3.
    """

    formula = r"\lambda(\sigma) = \min(1 / \sigma^2, \gamma)"
    sources = (HANG_2023,)
    gamma: Positive = 5.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**-2).clamp(max=self.gamma)
