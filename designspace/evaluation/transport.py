r"""Optimal transport in one dimension, exact for sets of any two sizes.

.. math:: W_p^p = \int_0^1 \left|F^{-1}(u) - G^{-1}(u)\right|^p du

with the quantile functions F^{-1} and G^{-1} of two sets of numbers. Villani (2003), https://doi.org/10.1090/gsm/058,
Theorem 2.18.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designspace.evaluation.measure import Draw
from designspace.evaluation.moments import Array, Features, float64

Integers = NDArray[np.int64]

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
    weights, i, j = _plan(n, m)
    value = weights @ np.abs(x[i] - y[j]) ** p
    between = np.arange(1, n) * m  # u between two neighbours in x
    rises = [np.abs(x[1:] - at) ** p - np.abs(x[:-1] - at) ** p for at in (y[(between - 1) // n], y[between // n])]
    potential = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum((rises[0] + rises[1]) / 2, axis=0)])
    effect = np.empty_like(x)
    np.put_along_axis(effect, order, potential - potential.mean(0), axis=0)
    return np.asarray(value), effect


def _plan(n: int, m: int) -> tuple[Array, Integers, Integers]:
    """The intervals of u on which both quantiles are constant: their lengths, and which numbers these are."""
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1 / (n m)
    starts = np.concatenate([[0], ends[:-1]])
    return (ends - starts) / (n * m), starts // m, starts // n


def mean_transport_of_draws(y: Array, draws: Sequence[Draw], p: float) -> list[float]:
    """The value of ``mean_transport`` of numbers drawn from ``y [m, L]``, which are sorted once for all ``draws``."""
    m, columns = y.shape
    counts = [np.bincount(draw, minlength=m) for draw in draws]
    weights, i, j = _plan(len(draws[0]), m)
    values = np.zeros(len(draws))
    for column in y.T:
        order = np.argsort(column)
        known = column[order]
        values += [weights @ np.abs(np.repeat(known, count[order])[i] - known[j]) ** p for count in counts]
    return [float(value) for value in values / columns]


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
