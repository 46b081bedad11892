from itertools import pairwise
from typing import Annotated, Self

import torch
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import SABOUR_2024
from designspace.sampling.levels import interpolated
from designspace.sampling.rows import TimeSteps

ROUNDING = 3e-4
"""Levels that are products of 1,000 numbers in float32, as in diffusers, differ by up to this from those in float64."""


class Explicit(TimeSteps, name="explicit"):
    r"""A list of levels, such as those that an optimisation found for a model and a solver.

    ``levels`` are L positive noise levels in decreasing order, without the final 0. For N = L they are used as they
    are; for another N they are interpolated in :math:`\ln\sigma`. Raises ``ValueError`` if one of them is outside
    the limits of the denoiser by more than rounding errors of float32. Sabour et al. (2024).
    """

    formula = r"\ln\sigma_i = \text{the given } \ln\sigma \text{ at } \tfrac{i}{N-1} (L - 1), \quad i < N"
    sources = (SABOUR_2024,)
    levels: Annotated[tuple[Positive, ...], Field(min_length=2)]

    @field_validator("levels")
    @classmethod
    def _decreasing(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        for a, b in pairwise(levels):
            if a <= b:
                text = f"levels must decrease, but {a:g} is followed by {b:g}"
                raise PydanticCustomError("not_decreasing", "{text}", {"text": text})
        return levels

    def sigmas(self, n: int) -> Tensor:
        return interpolated(torch.tensor(self.levels, dtype=torch.float64), n)

    def within(self, lo: float, hi: float) -> Self:
        """The same levels; those outside the limits by a relative ``ROUNDING`` at most are moved to the limits.

        Raises ``ValueError`` if one of them is further outside.
        """
        if lo <= self.levels[-1] and self.levels[0] <= hi:
            return self
        if self.levels[-1] < lo * (1 - ROUNDING) or self.levels[0] > hi * (1 + ROUNDING):
            ends = f"{self.levels[0]:g} to {self.levels[-1]:g}"
            raise ValueError(f"time_steps explicit: {ends} is not within the denoiser's range, {hi:g} to {lo:g}")
        return self.model_copy(update={"levels": tuple(min(max(level, lo), hi) for level in self.levels)})
