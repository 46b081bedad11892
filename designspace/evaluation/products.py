r"""Scalar products of the features of all pairs of images: float32 blocks on a device, and float64 around them.

Features are centred first. With a centre c, x = c + a and y = c + b,

.. math:: x^\top y = a^\top b + (c^\top a + \tfrac12 c^\top c) + (c^\top b + \tfrac12 c^\top c)

Only the first term is computed in float32, so that its rounding errors are relative to the spread of the features and
not to their mean. They are independent of each other and cancel in sums over many pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from designspace.evaluation.moments import Features, float64, table

ROWS = 4096
"""The number of rows that are converted to float64 at a time."""
CPU = torch.device("cpu")

_DEVICE: ContextVar[torch.device] = ContextVar("device", default=CPU)
_BACKENDS: Any = torch.backends


@contextmanager
def computing_on(device: torch.device) -> Iterator[None]:
    """Compute products of features on ``device`` if it is a CUDA device; all other devices leave them on the CPU."""
    token = _DEVICE.set(device if device.type == "cuda" else CPU)
    try:
        yield
    finally:
        _DEVICE.reset(token)


def product_device() -> torch.device:
    """The device of ``computing_on``; by default the CPU."""
    return _DEVICE.get()


@dataclass(frozen=True, eq=False)
class Centred:
    """Features minus a centre, on the device of ``computing_on``."""

    x: Tensor
    """The centred features, ``[n, d]``, in the dtype of the products."""
    along: Tensor
    """Their scalar products with the centre, plus half of the centre's squared length, float64 ``[n]``."""
    squares: Tensor
    """The squared lengths of the centred features, float64 ``[n]``."""
    lengths: Tensor
    """The squared lengths of the features themselves, float64 ``[n]``."""

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def of(cls, features: Features, centre: Tensor, dtype: torch.dtype) -> Centred:
        """Centre ``features [n, d]`` at ``centre``, float64 ``[d]``. Raises ``ValueError`` for NaN or infinity."""
        (n, d), device, half = table(features), product_device(), float(centre @ centre) / 2
        x, columns = torch.empty(n, d, dtype=dtype, device=device), torch.empty(3, n, dtype=torch.float64)
        for start in range(0, n, ROWS):
            rows = torch.from_numpy(float64(features[start : start + ROWS]))
            away, block = rows - centre, slice(start, start + len(rows))
            x[block] = away.to(dtype)
            columns[0, block] = away @ centre + half
            columns[1, block], columns[2, block] = away.square().sum(1), rows.square().sum(1)
        return cls(x, *columns.to(device))


def centre_of(features: Features) -> Tensor:
    """A point near the features, float64 ``[d]``; any point is valid, and their mean loses fewest digits."""
    return torch.as_tensor(features).float().mean(0).double().cpu()


def slices(n: int, size: int, start: int = 0) -> Iterator[slice]:
    """Slices of at most ``size`` rows from ``start`` to ``n``."""
    return (slice(i, min(i + size, n)) for i in range(start, n, size))
