from typing import Literal, Self

import torch
from pydantic import model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.component import Fraction, NonNegative, Positive
from designspace.registry.literature import ESSER_2024
from designspace.sampling.levels import flow_levels, flow_time, ramp
from designspace.sampling.rows import TimeSteps

END = 1e-3
"""The end of ``fixed_end`` and ``diffusers``: the time of the first of 1000 training steps."""


class Flow(TimeSteps, name="flow"):
    r"""Uniform in the time of flow matching, then shifted towards more noise, as large images need it.

    The noise level at the time t is :math:`\sigma = t / (1 - t)`, and ``shift`` multiplies it:
    :math:`t = \mathrm{shift} \cdot r / (1 + (\mathrm{shift} - 1)\, r)`. It is 3 for SD3 at 1024 x 1024 pixels, and
    :math:`e^\mu` for Flux, with :math:`\mu` linear in the number of tokens, from 0.5 for 256 to 1.15 for 4096.

    ``spacing`` chooses the last r. With ``reciprocal`` it is 1/N, as in SD3 and Flux, so that all steps including the
    one to 0 are equal. With ``fixed_end`` it is 0.001. With ``diffusers`` it is 0.001 after a shift, so that the last
    time is shifted twice, as by default in ``FlowMatchEulerDiscreteScheduler`` of diffusers 0.42. ``terminal``
    stretches the times so that the last one has this value; LTX-Video uses 0.1.

    ``sigma_max`` replaces the infinite level at t = 1. If the second level would exceed it as well, all times are
    scaled to begin there. If the last level would be below ``sigma_min``, the times are stretched to end there. Esser
    et al. (2024), Eq. 23.
    """

    formula = r"""
        \sigma_i = \mathrm{shift} \cdot r_i / (1 - r_i), \qquad r_i = 1 + \tfrac{i}{N-1} (r_{N-1} - 1), \quad i < N
    """
    sources = (ESSER_2024,)
    shift: Positive = 1.0
    spacing: Literal["reciprocal", "fixed_end", "diffusers"] = "reciprocal"
    terminal: Fraction | None = None
    sigma_min: NonNegative = 0.0
    sigma_max: Positive = 4096.0

    @model_validator(mode="after")
    def _ends_after_the_start(self) -> Self:
        highest = flow_time(self.sigma_max)
        if self.terminal is not None and self.terminal >= highest:
            text = (
                f"terminal = {self.terminal} is not below t = {highest:.6g}, the time of sigma_max = {self.sigma_max:g}"
            )
            raise PydanticCustomError("terminal_above_start", "{text}", {"text": text})
        return self

    def sigmas(self, n: int) -> Tensor:
        return flow_levels(self._shifted(self._spaced(n)), self.sigma_min, self.sigma_max, self.terminal)

    def _spaced(self, n: int) -> Tensor:
        even, end = ramp(n), torch.tensor(1 / n if self.spacing == "reciprocal" else END, dtype=torch.float64)
        return 1 + even * ((self._shifted(end) if self.spacing == "diffusers" else end) - 1)

    def _shifted(self, r: Tensor) -> Tensor:
        return self.shift * r / (1 + (self.shift - 1) * r)
