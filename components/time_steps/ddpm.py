from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.component import Fraction, Positive
from designspace.registry.identity import Since
from designspace.registry.literature import HO_2020, LIN_2024, PLATEN_2022
from designspace.sampling.levels import BetaLevels, Betas, pick, ramp
from designspace.sampling.rows import TimeSteps

Spacing = Literal["linspace", "leading", "trailing", "sgm_uniform", "simple"]


class DDPM(BetaLevels, TimeSteps, name="ddpm"):
    r"""Evenly spaced among the noise levels on which a DDPM network is trained.

    With the default ``schedule`` ``linear``, :math:`\beta_s` is linear from ``beta_1`` to ``beta_M``, which gives
    levels from 0.0100 to 157.4. ``scaled_linear`` with ``beta_1`` = 0.00085 and ``beta_M`` = 0.012 gives those of
    Stable Diffusion, 0.0292 to 14.61. ``betas`` is a list of all of them instead. ``zero_terminal_snr`` makes the first
    level infinite (Lin et al., 2024), which counts as 4096. Only the levels between ``sigma_min`` and ``sigma_max`` are
    used, by default all 1000 of ``linear``; below, M is their number, and N is at most M.

    ``spacing`` chooses the index :math:`j_i` of :math:`u_j`, from j = 0 for the highest level to M - 1. The time step
    of diffusers is M - 1 - j.

    - ``linspace``, the formula above, includes both ends.
    - ``leading`` is :math:`M - 1 - \mathrm{offset} - (N - 1 - i) \lfloor M/N \rfloor`, which omits the highest levels.
      Stable Diffusion has an ``offset`` of 1, and so has ``ddim_uniform`` of ComfyUI, which takes more than N steps
      where N does not divide M.
    - ``trailing`` is :math:`i M / N`, rounded; Lin et al. (2024).
    - ``sgm_uniform`` is ``linspace`` for N + 1 levels without the last.
    - ``simple`` is :math:`\lfloor i M / N \rfloor`, as in ComfyUI.

    Where an index is not an integer, the level is that of the nearest trained one. Some schedulers of diffusers, such
    as ``EulerDiscreteScheduler``, interpolate between the two neighbouring levels instead, for ``linspace`` only. The
    column is derived from Ho et al. (2020); it is not in Table 1 of the EDM paper.
    """

    formula = r"""
        \sigma_i = u_{j_i}, \quad j_i = \lfloor \tfrac{M-1}{N-1} i + \tfrac12 \rfloor, \qquad
            u_j = \sqrt{(1 - \bar\alpha_{M-j}) / \bar\alpha_{M-j}}, \quad \bar\alpha_t = \prod_{s \le t} (1 - \beta_s)
    """
    sources = (HO_2020, LIN_2024, PLATEN_2022)
    schedule: Annotated[Betas, Since("linear")] = "linear"
    betas: Annotated[tuple[Fraction, ...] | None, Field(min_length=2), Since(None)] = None
    zero_terminal_snr: Annotated[bool, Since(False)] = False
    sigma_min: Positive = 0.01
    sigma_max: Positive = 158.0
    spacing: Annotated[Spacing, Since("linspace")] = "linspace"
    offset: Annotated[int, Field(ge=0), Since(0)] = 0

    @model_validator(mode="after")
    def _only_leading_has_an_offset(self) -> Self:
        if self.offset and self.spacing != "leading":
            text = f"spacing {self.spacing} has no offset: use spacing: leading"
            raise PydanticCustomError("offset", "{text}", {"text": text})
        return self

    def sigmas(self, n: int) -> Tensor:
        u = self.within_range(self.sigma_min, self.sigma_max)
        if self.spacing == "linspace" or n > len(u):
            return pick(u, n, self.name)
        return u[self._indices(n, len(u))]

    def _indices(self, n: int, M: int) -> Tensor:
        """The indices of ``n`` of ``M`` levels; the highest level has the index 0."""
        i = (ramp(n) * (n - 1)).round()
        if self.spacing == "leading":
            indices = M - 1 - self.offset - (n - 1 - i) * (M // n)
            if indices[0] < 0:
                raise ValueError(f"time_steps ddpm: {n} steps leave no room for the offset {self.offset} in {M} levels")
            return indices.long()
        if self.spacing == "sgm_uniform":
            return ((M - 1) * i / n + 0.5).floor().long()
        place = torch.arange(n) * M
        return place // n if self.spacing == "simple" else (place / n).round().long()
