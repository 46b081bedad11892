import torch
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.literature import KINGMA_2023
from designspace.training.rows import LossWeight, NoiseDistribution


class Importance(LossWeight, name="importance"):
    r"""Any effective weight W, whichever noise distribution is used: the expected loss does not depend on it.

    The noise distribution p then changes only the variance of the gradient, as in importance sampling. W is the weight
    of the error of the denoised sample per unit of :math:`\ln\sigma`. It is the loss weight ``target``, multiplied by
    the density of ``target_distribution`` if that is given: ``{name: importance, target: edm, target_distribution:
    edm}`` trains on EDM's objective with the noise levels of any other distribution.

    The design sets the field ``noise_distribution`` to its own, which needs a density: discrete ones are refused.
    Outside of its limits the density at the nearest limit is used. Clamping and rounding by c_noise are not taken into
    account. Raises ``ValueError`` when it is called outside of a design without this field. Kingma and Gao (2023).
    """

    formula = r"""
        \lambda(\sigma) = W(\sigma) / p(\ln\sigma), \quad
            W(\sigma) = \lambda_\mathrm{target}(\sigma) \text{ or }
            \lambda_\mathrm{target}(\sigma)\, p_\mathrm{target}(\ln\sigma)
    """
    sources = (KINGMA_2023,)
    target: LossWeight = Field(default="edm", validate_default=True)
    target_distribution: NoiseDistribution | None = None
    noise_distribution: NoiseDistribution | None = None

    @field_validator("target")
    @classmethod
    def _of_its_own(cls, target: LossWeight) -> LossWeight:
        if isinstance(target, Importance):
            text = "the target cannot be importance itself, whose weight depends on the noise distribution"
            raise PydanticCustomError("target", "{text}", {"text": text})
        return target

    @field_validator("target_distribution")
    @classmethod
    def _with_a_density(cls, distribution: NoiseDistribution | None) -> NoiseDistribution | None:
        try:
            return distribution and _continuous(distribution)
        except ValueError as error:
            raise PydanticCustomError("target_distribution", "{text}", {"text": str(error)}) from error

    def made_for(self, distribution: NoiseDistribution) -> LossWeight:
        if self.noise_distribution not in (None, distribution):
            what = f"the weight is for noise_distribution {self.noise_distribution}, but the design has {distribution}"
            raise ValueError(f"{what}: leave out its field noise_distribution, which the design sets")
        return self.model_copy(update={"noise_distribution": _continuous(distribution)})

    def __call__(self, sigma: Tensor) -> Tensor:
        if self.noise_distribution is None:
            raise ValueError("loss_weight importance has no noise_distribution: use it within a design, or give one")
        weight = self.target(sigma)
        if self.target_distribution is not None:
            weight = weight * self.target_distribution.density(sigma)
        return weight / self.noise_distribution.density(sigma.clamp(*self.noise_distribution.limits()))


def _continuous(distribution: NoiseDistribution) -> NoiseDistribution:
    """The same distribution. Raises ``ValueError`` if it has no density."""
    distribution.density(distribution.from_uniform(torch.tensor(0.5, dtype=torch.float64)))
    return distribution
