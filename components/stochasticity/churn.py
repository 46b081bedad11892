from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from designspace.registry.component import NonNegative
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.rows import Stochasticity


class Churn(Stochasticity, name="churn"):
    r"""Noise is added before each step within a range of noise levels.

    Noise of standard deviation :math:`S_\mathrm{noise} \sqrt{\hat\sigma^2 - \sigma^2}` is added to x. N is the number
    of noise levels; the number of evaluations does not change. As in the reference implementation, :math:`\hat\sigma`
    may exceed the ``sigma_max`` of the denoiser. Karras et al. (2022), Algorithm 2.
    """

    formula = r"""
        \hat\sigma = (1 + \gamma) \sigma, \qquad \gamma = \min(S_\mathrm{churn} / N, \sqrt2 - 1)
            \;\text{if}\; S_\min \le \sigma \le S_\max \;\text{else}\; 0
    """
    sources = (KARRAS_2022,)
    S_churn: NonNegative = 0.0
    S_min: float = 0.0
    S_max: float = float("inf")
    S_noise: NonNegative = 1.0

    @model_validator(mode="after")
    def _some_level(self) -> Self:
        if self.S_max < max(self.S_min, 0):
            text = f"S_min = {self.S_min} to S_max = {self.S_max}: no noise level is within this range"
            raise PydanticCustomError("empty_range", "{text}", {"text": text})
        return self

    def lift(self, sigma: float, num_steps: int) -> tuple[float, float]:
        if not self.S_min <= sigma <= self.S_max:
            return sigma, self.S_noise
        return (1 + min(self.S_churn / num_steps, 2**0.5 - 1)) * sigma, self.S_noise
