from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.guidance import PairGuidance
from designspace.denoising.per_image import dot, norm
from designspace.registry.component import NonNegative
from designspace.registry.literature import SADAT_2024


class AdaptiveProjected(PairGuidance, name="apg"):
    r"""Adaptive projected guidance: the part of the guidance that is parallel to the conditional output is reduced.

    That part mostly increases contrast and saturation. ``eta`` is its share, 0 to leave it out. Before, the difference
    :math:`D_c - D_u` is accumulated over the steps with ``momentum`` :math:`\beta`, and its norm is limited to
    ``norm_threshold`` r, which depends on the size and the scale of samples and may be ``inf``. The momentum is updated
    by the first evaluation of a step and starts anew with each trajectory; with another momentum than 0, the guidance
    depends on the steps of the solver. With ``eta`` 1, ``momentum`` 0 and ``norm_threshold`` ``inf`` it is ``cfg``.

    The authors apply it to D. ``space: prediction`` applies it to the output of the network, as diffusers does; the
    results differ. The defaults are those of the authors for EDM2-S, whose samples are latents of 4 x 64 x 64 numbers.
    Each guided evaluation costs one more. Sadat et al. (2024), Section 4.
    """

    formula = r"""
        \Delta_i &= D_c - D_u + \beta\, \Delta_{i-1}, \qquad \Delta = \Delta_i \min(1, r / |\Delta_i|), \\
        D &= D_c + (g - 1) \left[\Delta_\perp + \eta\, \Delta_\parallel\right], \qquad
            \Delta_\parallel = \frac{\langle \Delta, D_c \rangle}{|D_c|^2} D_c, \quad
            \Delta_\perp = \Delta - \Delta_\parallel
    """
    sources = (SADAT_2024,)
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    eta: NonNegative = 0.0
    norm_threshold: Annotated[float, Field(gt=0)] = 2.5
    momentum: Annotated[float, Field(gt=-1, lt=1)] = -0.75
    space: Literal["D", "prediction"] = "D"

    @property
    def by_step_unless(self) -> list[str]:
        return super().by_step_unless + (["momentum: 0"] if self.momentum else [])

    def combine(self, c: Tensor, u: Tensor, step: int, memory: Any) -> tuple[Tensor, Any]:
        total = c - u if memory is None else torch.add(c - u, memory, alpha=self.momentum)
        size = norm(total)
        cut = torch.where(size > self.norm_threshold, self.norm_threshold / size, 1.0)
        length = dot(c, c)
        share = torch.where(length > 0, dot(total, c) / length, 0.0)  # of c in the difference
        update = cut * (total + (self.eta - 1) * share * c)
        return c + (self.weight - 1) * update, total if self.momentum else None
