"""Sums over each image of a batch, ``[B, ...]`` to ``[B, 1, ...]``, so that they can be multiplied with the images.

They are computed at least in float32: in half precision, the sum of the squares of a few thousand numbers overflows.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each image of ``a`` with that of ``b``."""
    return _beside((_flat(a) * _flat(b)).sum(1), a)


def norm(x: Tensor) -> Tensor:
    """The Euclidean norm of each image."""
    return _beside(torch.linalg.vector_norm(_flat(x), dim=1), x)


def std(x: Tensor) -> Tensor:
    """The standard deviation of the values of each image; 0 if all of them are equal, or if there is only one."""
    return _beside(_flat(x).std(1, correction=0), x)


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1).to(torch.promote_types(x.dtype, torch.float32))


def _beside(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 1))
