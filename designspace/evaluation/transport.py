r"""Optimal transport in one dimension, exact for sets of any two sizes.

.. math:: W_p^p = \int_0^1 \left|F^{-1}(u) - G^{-1}(u)\right|^p du

with the quantile functions F^{-1} and G^{-1} of two sets of numbers. Villani (2003), https://doi.org/10.1090/gsm/058,
Theorem 2.18.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from designspace.evaluation.moments import Array, Features, float64

BLOCK = 4096
"""The number of rows that are converted to float64 at a time."""
COLUMNS = 16
"""The number of directions that are transported at a time."""


def transport(x: Array, y: Array, p: float) -> tuple[Array, Array]:
    """``W_p^p [L]`` between the columns of ``x [n, L]`` and ``y [m, L]``, and the influence of each x, ``[n, L]``.

    The influence is the centred dual potential: the derivative of the value with respect to the weight of that number.
    If the dual potential is not unique, as for n = m, it is the mean of the lowest and the highest.
    """
    n, m = len(x), len(y)
    order = np.argsort(x, axis=0)
    x, y = np.take_along_axis(x, order, axis=0), np.sort(y, axis=0)
    # Both quantiles are constant on intervals of u, whose ends are given in units of 1 / (n m).
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    starts = np.concatenate([[0], ends[:-1]])
    value = (ends - starts) / (n * m) @ np.abs(x[starts // m] - y[starts // n]) ** p
    between = np.arange(1, n) * m  # u between two neighbours in x
    rises = [np.abs(x[1:] - at) ** p - np.abs(x[:-1] - at) ** p for at in (y[(between - 1) // n], y[between // n])]
    potential = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum((rises[0] + rises[1]) / 2, axis=0)])
    effect = np.empty_like(x)
    np.put_along_axis(effect, order, potential - potential.mean(0), axis=0)
    return np.asarray(value), effect


def mean_transport(x: Array, y: Array, p: float) -> tuple[float, Tensor]:
    """Value and influence of ``transport``, averaged over columns and computed a few columns at a time."""
    value, effect, columns = 0.0, np.zeros(len(x)), x.shape[1]
    for start in range(0, columns, COLUMNS):
        some = slice(start, start + COLUMNS)
        values, effects = transport(x[:, some], y[:, some], p)
        value, effect = value + float(values.sum()), effect + effects.sum(1)
    return value / columns, torch.from_numpy(effect / columns)


def projected(features: Features, directions: Array) -> Array:
    """Project ``features [n, d]`` onto ``directions [d, L]``, in float64."""
    rows = range(0, len(features), BLOCK)
    return np.concatenate([float64(features[i : i + BLOCK]) @ directions for i in rows])
