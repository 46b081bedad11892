"""The training loss, Eq. 8 of Karras et al. (2022), and bins of noise levels for its record."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from designspace.denoising.device import sent
from designspace.sampling import rows
from designspace.training.rows import TrainingRows, training_weights

LOWEST, HIGHEST, BINS = 1e-3, 1e3, 48
"""The bins are evenly spaced in ln sigma; levels outside the range go into the first or the last bin."""


def errors(D: rows.D, design: TrainingRows, y: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    r""":math:`\lambda(\sigma) |D(y + \sigma n; \sigma) - y|^2 / d` of each image, float32 ``[B]``.

    ``y`` are images ``[B, ...]``, ``noise`` unit Gaussian of their shape, ``sigma`` float64 ``[B]``.
    """
    return sent(training_weights(design, sigma), y.device, torch.float32) * squared_errors(D, y, sigma, noise)


def squared_errors(D: rows.D, y: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """The same as ``errors``, without the loss weight."""
    size = sent(sigma, y.device, y.dtype).reshape(-1, *[1] * (y.ndim - 1))
    gaps = D(y + size * noise, sigma) - y
    return gaps.flatten(1).square().mean(1).float()


def bin_of(sigma: Tensor) -> Tensor:
    """The bin of each noise level, int64."""
    place = (sigma / LOWEST).log() * (BINS / math.log(HIGHEST / LOWEST))
    return place.floor().long().clamp(0, BINS - 1)


def bin_levels() -> Tensor:
    """The noise level in the middle of each bin, float64 ``[BINS]``."""
    middle = (torch.arange(BINS, dtype=torch.float64) + 0.5) / BINS
    return LOWEST * (HIGHEST / LOWEST) ** middle
