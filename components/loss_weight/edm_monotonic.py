from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from designspace.denoising.sigma_data import SigmaData
from designspace.registry.component import Finite, Positive
from designspace.registry.literature import KARRAS_2022, KINGMA_2023
from designspace.sampling.levels import log_normal_density
from designspace.training.rows import LossWeight


class EDMMonotonic(LossWeight, name="edm_monotonic"):
    r"""EDM's effective weight on the error of the noise, made to never decrease with the noise.

    :math:`w(\sigma)` is the effective weight per unit of :math:`\ln\sigma` that results from the noise distribution and
    the loss weight ``edm`` with the same fields. It is replaced by its largest value up to :math:`\sigma`: by default
    it rises up to :math:`\sigma = 5.23` and is constant from there. With a weight that does not decrease with the
    noise, the loss is an evidence lower bound of images with Gaussian noise.

    The weight is meant for levels that are uniform in :math:`\ln\sigma`. For other noise distributions, make it the
    ``target`` of loss_weight ``importance``; where w rises and for the noise distribution ``edm`` the result equals
    ``edm``. Kingma and Gao (2023), Section 5.
    """

    formula = r"""
        \lambda(\sigma) = \max_{\sigma' \le \sigma} w(\sigma') / \sigma^2, \quad
            w(\sigma) = \frac{\sigma^2 + \sigma_\mathrm{data}^2}{\sigma_\mathrm{data}^2}
            \mathcal N(\ln\sigma; P_\mathrm{mean}, P_\mathrm{std}^2)
    """
    sources = (KINGMA_2023, KARRAS_2022)
    P_mean: Finite = -1.2
    P_std: Positive = 1.2
    sigma_data: SigmaData = 0.5

    def __call__(self, sigma: Tensor) -> Tensor:
        fields = self.P_mean, self.P_std, self.sigma_data
        up_to = [_effective(sigma.clamp(max=peak), *fields) for peak in _peaks(*fields)]
        return torch.stack(up_to).amax(0) / sigma**2


def _effective(sigma: Tensor, mean: float, std: float, sigma_data: float) -> Tensor:
    return (sigma**2 / sigma_data**2 + 1) * log_normal_density(sigma, mean, std)


@lru_cache
def _peaks(mean: float, std: float, sigma_data: float) -> list[float]:
    """The one or two local maxima of the effective weight; the logarithms are from P_mean to P_mean + 2 P_std^2."""
    sigma = (mean + 2 * std**2 * torch.linspace(0, 1, 100_001, dtype=torch.float64)).exp()
    rises = pad(_effective(sigma, mean, std, sigma_data).diff() > 0, (1, 1))
    rises[0] = True
    return sigma[rises[:-1] & ~rises[1:]].tolist()
