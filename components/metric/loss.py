from typing import ClassVar

from torch import Tensor

from designspace.denoising.rows import Conditional
from designspace.evaluation.denoiser_probe import DenoiserProbe
from designspace.evaluation.measure import Measured, mean
from designspace.evaluation.rows import DenoiserMetric
from designspace.registry.literature import KARRAS_2022
from designspace.training.rows import training_weights


class Loss(DenoiserMetric, name="loss"):
    r"""The training loss (Eq. 8) of the denoiser used for sampling: with averaged parameters, without augmentation.

    It uses the noise distribution and the loss weight of the design, so losses of designs that differ in these do not
    show which design is better. For the value, one noise level is drawn for each of ``images`` images. The profile is
    the mean over all images at each :math:`\sigma`, before and after training, together with
    :math:`p_\mathrm{train}(\ln \sigma)`. If the loss weight or the noise distribution changes in training, weights and
    the value are those of the initial ones; the profile has the final density, and the loss that a learned weight
    expects. Karras et al. (2022), Eq. 8 and Fig. 5a.
    """

    formula = r"""
        \mathbb E_{\sigma \sim p_\mathrm{train}}\left[\lambda(\sigma) \left|D(y + \sigma n; \sigma) - y\right|^2
            / d\right]
    """
    sources = (KARRAS_2022,)
    profile_of: ClassVar[str] = "loss"
    higher_is_better: ClassVar[bool | None] = None

    def observe(self, seen: DenoiserProbe) -> Measured:
        def losses(denoiser: Conditional, sigma: Tensor) -> Tensor:
            return training_weights(seen.design, sigma) * seen.squared_errors(denoiser, sigma)

        profile = seen.profile(self, losses)[0]
        return mean(losses(seen.denoiser, seen.drawn()), profile=profile._replace(learned=seen.expected(profile)))
