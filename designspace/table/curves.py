"""The rows of Table 1 as arrays, one set for each design; nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designspace.design import Design
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.training.rows import NoiseDistribution

Array = NDArray[np.float64]
POINTS, DRAWS = 400, 20_000
HALF_WIDTH = 0.06
"""Of the window, in ln sigma, over which a density is averaged."""
BEYOND = 1.5
"""The levels shown reach this factor beyond those that are sampled or trained on."""


@dataclass(frozen=True)
class RowCurves:
    """The rows of one design; arrays that belong together have one length. All of them are float64."""

    name: str
    time: Array
    """t as a part of the time of the highest level, (0, 1]."""
    schedule: Array
    """sigma(t)"""
    scaling: Array
    """s(t)"""
    t_max: float
    """The time of the highest level: where ``time`` is 1."""
    levels: Array
    """sigma_i, i < N, without the final 0"""
    measured: bool
    """Whether the levels are those that a measurement with the denoiser begins with."""
    sigma: Array
    """Noise levels, even in ln sigma, the same for all designs: where the following are taken."""
    c_skip: Array
    c_out: Array
    c_in: Array
    c_noise: Array
    """NaN where the network does not support the level."""
    loss_weight: Array
    density: Array
    """p(ln sigma) of the noise distribution, per unit of ln sigma."""

    @property
    def effective_weight(self) -> Array:
        """What the squared error of the network's raw output F counts in training: lambda c_out^2 p(ln sigma)."""
        return self.loss_weight * self.c_out**2 * self.density


def curves_of(designs: Mapping[str, Design], num_steps: int = 18) -> list[RowCurves]:
    """The curves of ``designs``, all on the same noise levels, and their time steps for ``num_steps``.

    Raises ``ValueError`` if a rule cannot give so many levels.
    """
    levels = {name: design.time_steps.sigmas(num_steps) for name, design in designs.items()}
    drawn = {name: quantiles(design.noise_distribution) for name, design in designs.items()}
    ends = [float(x) for name in designs for x in (*levels[name][[0, -1]], *drawn[name].quantile(_TAILS))]
    low, high = math.log10(min(ends) / BEYOND), math.log10(max(ends) * BEYOND)
    sigma = torch.logspace(low, high, POINTS, dtype=torch.float64)
    return [_curves(name, design, levels[name], drawn[name], sigma) for name, design in designs.items()]


def quantiles(distribution: NoiseDistribution) -> Tensor:
    """Noise levels at evenly spaced probabilities, increasing, float64."""
    u = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
    return distribution.from_uniform(u).sort().values


def density(levels: Tensor, sigma: Tensor) -> Array:
    """The density of ln sigma at ``sigma``, from evenly probable ``levels``; between discrete ones it is even."""
    values, counts = np.unique(np.log(levels.numpy()), return_counts=True)
    below = (counts.cumsum() - counts / 2) / counts.sum()
    at = np.log(sigma.numpy())
    low, high = (np.interp(at + side * HALF_WIDTH, values, below, left=0.0, right=1.0) for side in (-1, 1))
    return np.asarray((high - low) / (2 * HALF_WIDTH))


def _curves(name: str, design: Design, levels: Tensor, drawn: Tensor, sigma: Tensor) -> RowCurves:
    time = torch.linspace(0, 1, POINTS + 1, dtype=torch.float64)[1:] ** 4  # some schedules have low noise just above 0
    t_max = design.schedule.sigma_inv(levels[0])
    low, high = design.c_noise.limits()
    supported = sigma.where((low <= sigma) & (sigma <= high), torch.nan)
    rows: dict[str, Callable[[Tensor], Tensor]] = {
        row: getattr(design, row) for row in ("c_skip", "c_out", "c_in", "loss_weight")
    }
    arrays: dict[str, Any] = {row: _array(of(sigma)) for row, of in rows.items()}
    c_noise = torch.full_like(sigma, torch.nan)
    known = ~supported.isnan()
    c_noise[known] = design.c_noise(sigma[known]).double()
    return RowCurves(
        name=name,
        time=_array(time),
        schedule=_array(design.schedule.sigma(time * t_max)),
        scaling=_array(design.scaling.s(time * t_max, design.schedule)),
        t_max=float(t_max),
        levels=_array(levels),
        measured=isinstance(design.time_steps, MeasuredTimeSteps),
        sigma=_array(sigma),
        c_noise=_array(c_noise),
        density=density(drawn, sigma),
        **arrays,
    )


def _array(values: Tensor) -> Array:
    return values.double().numpy()


_TAILS = torch.tensor([0.001, 0.999], dtype=torch.float64)
