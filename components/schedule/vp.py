from typing import Any, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.component import Finite, Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.levels import VP_EPSILON_S, vp_betas, vp_sigma, vp_sigma_inv
from designspace.sampling.rows import Schedule


class VP(Schedule, name="vp"):
    r"""Variance preserving, together with the scaling ``vp``.

    ``beta_d`` > 0 and ``beta_min`` are rates per unit of time. ``{name: vp, sigma_min: a, sigma_max: b}`` is shorthand
    for the betas with :math:`\sigma(10^{-3}) = a` and :math:`\sigma(1) = b`. For small a, ``beta_min`` is then
    negative, and :math:`\sigma(t)` is undefined just above t = 0. Song et al. (2021); Karras et al. (2022), Table 1.
    """

    formula = r"\sigma(t) = \sqrt{e^{\frac12 \beta_d t^2 + \beta_\min t} - 1}, \quad 0 \le t \le 1"
    sources = (SONG_2021, KARRAS_2022)
    beta_d: Positive = 19.9
    beta_min: Finite = 0.1

    @model_validator(mode="before")
    @classmethod
    def _fit(cls, fields: Any) -> Any:
        ends = {"sigma_min", "sigma_max"} & set(fields)
        if not ends:
            return fields
        if len(ends) == 1 or {"beta_d", "beta_min"} & set(fields):
            text = "give sigma_min and sigma_max together and no betas, or beta_d and beta_min"
            raise PydanticCustomError("vp_range", "{text}", {"text": text})
        low, high = float(fields["sigma_min"]), float(fields["sigma_max"])
        if not 0 < low < high < float("inf"):
            raise PydanticCustomError("vp_range", "0 < sigma_min < sigma_max is needed")
        beta_d, beta_min = vp_betas(low, high)
        if beta_d <= 0:
            text = f"no VP schedule spans {low} to {high}: it would need beta_d = {beta_d:.4g}; use a smaller sigma_min"
            raise PydanticCustomError("vp_range", "{text}", {"text": text})
        rest = {k: v for k, v in fields.items() if k not in ends}
        return rest | {"beta_d": beta_d, "beta_min": beta_min}

    def sigma(self, t: Tensor) -> Tensor:
        return vp_sigma(t, self.beta_d, self.beta_min)

    def sigma_dot(self, t: Tensor) -> Tensor:
        sigma = self.sigma(t)
        return 0.5 * (self.beta_min + self.beta_d * t) * (sigma + 1 / sigma)

    def sigma_inv(self, sigma: Tensor) -> Tensor:
        return vp_sigma_inv(sigma, self.beta_d, self.beta_min)

    def within(self, lo: float, hi: float) -> Self:
        """The schedule, with its betas refitted if the limits narrow its range, as in the sampler of the paper.

        The range is sigma(0.001) to sigma(1). Raises ``ValueError`` if no VP curve spans the rest of it.
        """
        ends = self.sigma(Tensor([VP_EPSILON_S, 1.0]).double()).tolist()
        low, high = self.common(ends[0], ends[1], lo, hi)
        if low <= ends[0] * (1 + 1e-9) and high >= ends[1] * (1 - 1e-9):
            return self
        if vp_betas(low, high)[0] <= 0:
            text = "the part of its range that the denoiser supports"
            raise ValueError(f"schedule {self}: no VP curve spans {low:.4g} to {high:.4g}, {text}")
        return type(self).model_validate({"sigma_min": low, "sigma_max": high})
