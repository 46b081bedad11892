r"""Denoisers that are known without training: what mean and covariance of the data say.

.. math:: D(x; \sigma) = \mu + C (C + \sigma^2 I)^{-1} (x - \mu)

is optimal for Gaussian data, and the best linear one for any (Wiener). At high noise it is nearly optimal for images:
Wang and Vastola (2023), https://arxiv.org/abs/2311.10892.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from designspace.data.images import Images

LARGEST = 4096
"""Values of an image above which the eigenvectors of their covariance take too long."""
PART = 1000
"""Images whose products are summed in float32."""


@dataclass(frozen=True)
class Wiener:
    """``D(x, sigma)`` for a diagonal C: the mean and the variance of each coordinate, float64 ``[d]``."""

    mean: Tensor
    variances: Tensor

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``x`` ``[B, ...]``, ``sigma`` ``[B]`` or 0-dim, positive."""
        noise = torch.as_tensor(sigma).double().square().reshape(-1, 1)
        known = self.variances / (self.variances + noise)
        return (self.mean + known * (x.flatten(1) - self.mean)).reshape(x.shape).to(x.dtype)


def value_by_value(data: Images) -> Wiener:
    """What mean and variance of each value say of it, whatever the others are."""
    y = data.scaled().flatten(1).double()
    return Wiener(y.mean(0), y.var(0, unbiased=False))


def linear(data: Images) -> tuple[Wiener, Tensor] | None:
    """The best linear denoiser of the coordinates ``x @ basis``, and the orthonormal basis, float64 ``[d, d]``.

    ``None`` for images of more than ``LARGEST`` values.
    """
    if math.prod(data.shape) > LARGEST:
        return None
    y = data.scaled().flatten(1)
    mean = y.double().mean(0)
    # Products in float32 with sums in float64: their rounding stays far below the squares of the least noise.
    parts = (part - mean.float() for part in torch.split(y, PART))
    variances, basis = torch.linalg.eigh(sum(((gap.T @ gap).double() for gap in parts), start=0 * mean) / len(y))
    return Wiener(mean @ basis, variances.clamp_min(0)), basis
