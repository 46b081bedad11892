from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.guidance import PairGuidance
from designspace.denoising.per_image import std
from designspace.registry.literature import LIN_2024


class Rescaled(PairGuidance, name="rescale"):
    r"""Classifier-free guidance whose result is scaled back to the standard deviation of the conditional output.

    The standard deviations are those of all values of an image. ``phi`` is the share of the scaled result; 0 is
    ``cfg``. Where the guided output is constant, as for data with a single value, it is left as it is.

    With ``space: prediction`` the outputs of the network are combined and scaled. This is what the authors do, whose
    network predicts the velocity, and what diffusers does with any network; ``space: D`` applies the same formula to D,
    which gives other results. The default weight 7.5 and ``phi`` 0.7 are those of the authors for text-to-image models.
    Each guided evaluation costs one more. Lin et al. (2024), Section 3.4.
    """

    formula = r"""
        F = F_g \left[\phi\, \frac{\mathrm{std}(F_c)}{\mathrm{std}(F_g)} + 1 - \phi\right], \qquad
            F_g = F_u + g\, (F_c - F_u)
    """
    sources = (LIN_2024,)
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 7.5
    phi: Annotated[float, Field(ge=0, le=1)] = 0.7
    space: Literal["D", "prediction"] = "prediction"

    def combine(self, c: Tensor, u: Tensor, step: int, memory: Any) -> tuple[Tensor, Any]:
        guided, _ = super().combine(c, u, step, memory)
        spread = std(guided)
        ratio = torch.where(spread > 0, std(c) / spread, 1.0)
        return guided * (1 + self.phi * (ratio - 1)), None
