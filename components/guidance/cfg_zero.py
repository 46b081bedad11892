from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.guidance import PairGuidance
from designspace.denoising.per_image import dot
from designspace.registry.literature import FAN_2025


class ZeroStar(PairGuidance, name="cfg_zero"):
    r"""CFG-Zero*: classifier-free guidance with an optimised scale of the unconditional output, after steps of zero.

    The scale s of each image minimises :math:`|F_c - s F_u|`. In the first ``zero_steps`` steps within the range of
    noise levels, counted from the first step of the solver, the output is 0, and nothing more is evaluated than
    without guidance; with ``zero_steps`` above 0, the guidance depends on the steps of the solver, and has an effect
    even with weight 1.

    The method was proposed for flow models, whose network predicts the velocity: with ``space: prediction``, F is the
    output of the network, whatever it predicts, as in diffusers. A velocity of 0 leaves the sample z = s(t) x as it is.
    With ``space: D`` the formula is applied to D instead, and D = 0 is an image of zeros. The authors suggest zero in
    the first 4 % of the steps; weight 7.5 and one step are the defaults of diffusers. Each evaluation that is guided
    otherwise costs one more. Fan et al. (2025).
    """

    formula = r"""
        F = 0 \text{ in the first steps, then } F = s F_u + g\, (F_c - s F_u), \qquad
            s = \frac{\langle F_c, F_u \rangle}{|F_u|^2}
    """
    sources = (FAN_2025,)
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 7.5
    zero_steps: Annotated[int, Field(ge=0)] = 1
    space: Literal["D", "prediction"] = "prediction"

    @property
    def effective(self) -> bool:
        return super().effective or self.zero_steps > 0

    @property
    def by_step_unless(self) -> list[str]:
        return super().by_step_unless + (["zero_steps: 0"] if self.zero_steps else [])

    def without_guide(self, c: Tensor, step: int) -> Tensor | None:
        return torch.zeros_like(c) if step < self.zero_steps else super().without_guide(c, step)

    def combine(self, c: Tensor, u: Tensor, step: int, memory: Any) -> tuple[Tensor, Any]:
        length = dot(u, u)
        scale = torch.where(length > 0, dot(c, u) / length, 1.0)
        return super().combine(c, scale.to(u.dtype) * u, step, memory)
