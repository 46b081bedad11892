from typing import ClassVar

from torch import Tensor

from designspace.denoising.rows import Conditional
from designspace.evaluation.denoiser_probe import DenoiserProbe
from designspace.evaluation.measure import Measured, mean
from designspace.evaluation.rows import DenoiserMetric
from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022


class DenoisingError(DenoiserMetric, name="denoising_error"):
    r"""The error of the denoiser at each noise level, relative to a denoiser that has learnt nothing.

    The inverse of the factor is the error of EDM's preconditioning with F = 0, the best denoiser that is proportional
    to its input; :math:`\sigma_\mathrm{data}` is the root mean square of all values of the data set. The value does
    not depend on the rows noise_distribution and loss_weight, so designs that differ in these can be compared. It is
    the mean over the levels of the profile and over ``images`` images of the data set. Levels that the row c_noise does
    not support are left out; the default ``sigma_min`` is the lowest level of VE. Karras et al. (2022), Appendix B.6:
    this is the loss with EDM's weight.
    """

    formula = r"""
        e(\sigma) = \frac{\sigma^2 + \sigma_\mathrm{data}^2}{\sigma^2 \sigma_\mathrm{data}^2}\;
            \mathbb E\left[\left|D(y + \sigma n; \sigma) - y\right|^2 / d\right]
    """
    sources = (KARRAS_2022,)
    version: ClassVar[int] = 2
    profile_of: ClassVar[str] = "error of D, 1: nothing learnt"
    sigma_min: Positive = 0.02

    def observe(self, seen: DenoiserProbe) -> Measured:
        def relative(denoiser: Conditional, sigma: Tensor) -> Tensor:
            return seen.squared_errors(denoiser, sigma) * (sigma**-2 + seen.sigma_data**-2)

        profile, each = seen.profile(self, relative)
        return mean(each.mean(0), profile=profile)
