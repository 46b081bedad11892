from typing import ClassVar

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

    The noise distribution needs a fixed density: discrete ones and those that change in training are refused, and so is
    a ``target`` that is learned. For levels beyond the lowest and the highest that the noise distribution draws, the
    density at that limit is used. Clamping and rounding by c_noise are not taken into account. Called without a noise
    distribution, the component gives W. Kingma and Gao (2023).
    """

    formula = r"""
        \lambda(\sigma) = W(\sigma) / p(\ln\sigma), \quad
            W(\sigma) = \lambda_\mathrm{target}(\sigma) \text{ or }
            \lambda_\mathrm{target}(\sigma)\, p_\mathrm{target}(\ln\sigma)
    """
    sources = (KINGMA_2023,)
    needs_density: ClassVar[bool] = True
    target: LossWeight = Field(default="edm", validate_default=True)
    target_distribution: NoiseDistribution | None = None

    @field_validator("target")
    @classmethod
    def _fixed(cls, target: LossWeight) -> LossWeight:
        if target.learned() is not None:
            text = f"loss_weight {target.name} is learned in training, which changes the objective: use a fixed one"
            raise PydanticCustomError("learned_target", "{text}", {"text": text})
        return target

    @field_validator("target_distribution")
    @classmethod
    def _with_a_density(cls, distribution: NoiseDistribution | None) -> NoiseDistribution | None:
        try:
            if distribution is not None:
                distribution.density(torch.ones(1, dtype=torch.float64))
        except ValueError as error:
            raise PydanticCustomError("no_density", "{text}", {"text": str(error)}) from error
        return distribution

    def __call__(self, sigma: Tensor) -> Tensor:
        if self.target_distribution is None:
            return self.target(sigma)
        low, high = self.target_distribution.limits()
        density = self.target_distribution.density(sigma.clamp(low, high))
        return self.target(sigma) * density * ((sigma >= low) & (sigma <= high))

    def weigh(self, sigma: Tensor, distribution: NoiseDistribution) -> Tensor:
        return self(sigma) / distribution.density(sigma.clamp(*distribution.limits()))
