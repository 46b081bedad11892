r"""Optimal transport in one dimension, exact for sets of any two sizes.

.. math:: W_p^p = \int_0^1 \left|F^{-1}(u) - G^{-1}(u)\right|^p du

with the quantile functions of two sets of numbers. Villani (2003), https://doi.org/10.1090/gsm/058, Theorem 2.18.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from designspace.evaluation.moments import Array, Features, float64

BLOCK = 4096
COLUMNS = 16
"""Directions that are transported at once."""


def transport(x: Array, y: Array, p: float) -> tuple[Array, Array]:
    """``W_p^p [L]`` of the columns of ``x [n, L]`` and ``y [m, L]``, and what each x has to do with it ``[n, L]``.

    The latter is the dual potential, centred: the derivative of the value by the weight of that number. Where several
    potentials are dual, as for n = m, it is the mean of the lowest and the highest.
    """
    n, m = len(x), len(y)
    order = np.argsort(x, axis=0)
    x, y = np.take_along_axis(x, order, axis=0), np.sort(y, axis=0)
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # of cells of u, in units of 1 / nm
    starts = np.concatenate([[0], ends[:-1]])
    value = (ends - starts) / (n * m) @ np.abs(x[starts // m] - y[starts // n]) ** p
    between = np.arange(1, n) * m  # two neighbours in x share the y that is there
    rises = [np.abs(x[1:] - at) ** p - np.abs(x[:-1] - at) ** p for at in (y[(between - 1) // n], y[between // n])]
    potential = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum((rises[0] + rises[1]) / 2, axis=0)])
    effect = np.empty_like(x)
    np.put_along_axis(effect, order, potential - potential.mean(0), axis=0)
    return np.asarray(value), effect


def mean_transport(x: Array, y: Array, p: float) -> tuple[float, Tensor]:
    """The mean over columns of both, in memory for some columns."""
    value, effect, columns = 0.0, np.zeros(len(x)), x.shape[1]
    for start in range(0, columns, COLUMNS):
        some = slice(start, start + COLUMNS)
        values, effects = transport(x[:, some], y[:, some], p)
        value, effect = value + float(values.sum()), effect + effects.sum(1)
    return value / columns, torch.from_numpy(effect / columns)


def projected(features: Features, directions: Array) -> Array:
    """``features [n, d]`` along ``directions [d, L]``, in float64."""
    rows = range(0, len(features), BLOCK)
    return np.concatenate([float64(features[i : i + BLOCK]) @ directions for i in rows])
