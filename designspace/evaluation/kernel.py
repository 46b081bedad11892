r"""Sums of the polynomial kernel :math:`k(x, y) = (x^\top y / d + 1)^3` over pairs of features, in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from designspace.evaluation.moments import Array, Features, check_widths, float64, table

BLOCK = 1024


def kernel(x: Features, y: Features) -> Array:
    """The kernel of every pair, float64 ``[len(x), len(y)]``."""
    base = float64(x) @ float64(y).T
    base /= x.shape[1]
    base += 1
    return np.asarray(base * base * base)


def cross_means(x: Features, y: Features) -> Array:
    """The mean of k(x_i, y) over ``y [m, d]`` for each row of ``x [n, d]``: float64 ``[n]``."""
    check_widths(table(x)[1], table(y)[1])
    sums = np.zeros(len(x))
    for i in _blocks(len(x)):
        for j in _blocks(len(y)):
            sums[i] += kernel(x[i], y[j]).sum(1)
    return sums / len(y)


def pair_sums(x: Features, shift: Array) -> tuple[Array, float]:
    """With h_ij = k_ij - shift_i - shift_j for i != j: the sums over j, ``[n]``, and the sum of all squares."""
    rows, squares = np.zeros(len(x)), 0.0
    for i in _blocks(len(x)):
        for j in _blocks(len(x), i.start):
            h = kernel(x[i], x[j]) - shift[i, None] - shift[j]
            if i == j:
                np.fill_diagonal(h, 0)
            else:
                rows[j] += h.sum(0)
            rows[i] += h.sum(1)
            squares += (1 if i == j else 2) * float(np.vdot(h, h))
    return rows, squares


def _blocks(n: int, start: int = 0) -> Iterator[slice]:
    return (slice(i, min(i + BLOCK, n)) for i in range(start, n, BLOCK))
