"""The rows of Table 1 as arrays, one set per design."""

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
from designspace.sampling.counting import search_nfe
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.training.rows import NoiseDistribution

Array = NDArray[np.float64]
POINTS, DRAWS = 400, 20_000
HALF_WIDTH = 0.06
"""Half the width in ln sigma of the window over which a density is averaged."""
BEYOND = 1.5
"""The range of noise levels extends beyond those of sampling and training by this factor."""


@dataclass(frozen=True)
class RowCurves:
    """The rows of one design as float64 arrays. Arrays that belong together have the same length."""

    name: str
    time: Array
    """t in units of ``t_max``, in (0, 1]."""
    schedule: Array
    """sigma(t) at ``time``."""
    scaling: Array
    """s(t) at ``time``."""
    t_max: float
    """The time of the highest noise level."""
    levels: Array
    """sigma_i for i < N, without the final 0."""
    measured: bool
    """Whether the time steps are placed by measuring the denoiser; ``levels`` are then those before measurement."""
    search_nfe: int | float
    """About how many evaluations per image this measurement takes."""
    sigma: Array
    """The noise levels of the following rows: evenly spaced in ln sigma and the same for all designs."""
    c_skip: Array
    c_out: Array
    c_in: Array
    c_noise: Array
    """NaN at levels that the network does not support."""
    loss_weight: Array
    density: Array
    """p(ln sigma) of the noise distribution, per unit of ln sigma."""

    @property
    def effective_weight(self) -> Array:
        """The weight of the squared error of the network's raw output F in training: lambda c_out^2 p(ln sigma)."""
        return self.loss_weight * self.c_out**2 * self.density


def curves_of(designs: Mapping[str, Design], num_steps: int = 18) -> list[RowCurves]:
    """The rows of named designs on common noise levels, with their time steps for ``num_steps`` steps.

    Raises ``ValueError`` if the time steps of a design do not support this number of steps.
    """
    levels = {name: design.time_steps.sigmas(num_steps) for name, design in designs.items()}
    drawn = {name: quantiles(design.noise_distribution) for name, design in designs.items()}
    ends = [float(x) for name in designs for x in (*levels[name][[0, -1]], *drawn[name].quantile(_TAILS))]
    low, high = math.log10(min(ends) / BEYOND), math.log10(max(ends) * BEYOND)
    sigma = torch.logspace(low, high, POINTS, dtype=torch.float64)
    return [_curves(name, design, levels[name], drawn[name], sigma) for name, design in designs.items()]


def quantiles(distribution: NoiseDistribution) -> Tensor:
    """Quantiles of the noise levels at evenly spaced probabilities, increasing, float64."""
    u = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
    return distribution.from_uniform(u).sort().values


def density(levels: Tensor, sigma: Tensor) -> Array:
    """The density of ln sigma at ``sigma``, estimated from equally probable ``levels``.

    It is interpolated between the levels of a discrete distribution.
    """
    values, counts = np.unique(np.log(levels.numpy()), return_counts=True)
    below = (counts.cumsum() - counts / 2) / counts.sum()
    at = np.log(sigma.numpy())
    low, high = (np.interp(at + side * HALF_WIDTH, values, below, left=0.0, right=1.0) for side in (-1, 1))
    return np.asarray((high - low) / (2 * HALF_WIDTH))


def _curves(name: str, design: Design, levels: Tensor, drawn: Tensor, sigma: Tensor) -> RowCurves:
    time = (
        torch.linspace(0, 1, POINTS + 1, dtype=torch.float64)[1:] ** 4
    )  # dense near 0, where some schedules change quickly
    t_max = design.schedule.sigma_inv(levels[0])
    low, high = design.c_noise.limits()
    supported = sigma.where((low <= sigma) & (sigma <= high), torch.nan)
    rows: dict[str, Callable[[Tensor], Tensor]] = {row: getattr(design, row) for row in ("c_skip", "c_out", "c_in")} | {
        "loss_weight": design.training_weights
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
        search_nfe=search_nfe(design, len(levels), design.c_noise),
        sigma=_array(sigma),
        c_noise=_array(c_noise),
        density=density(drawn, sigma),
        **arrays,
    )


def _array(values: Tensor) -> Array:
    return values.double().numpy()


_TAILS = torch.tensor([0.001, 0.999], dtype=torch.float64)
