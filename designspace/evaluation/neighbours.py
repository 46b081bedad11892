"""Nearest neighbours of features by Euclidean distance, computed in blocks so that memory grows with n, not n^2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Array, check_widths, float64, table

Integers = NDArray[np.int64]

BLOCK = 1024
SHARED = 6
"""The smallest number of neighbours to search for, so that metrics with different k share one search."""


@dataclass(frozen=True)
class Near:
    """The nearest neighbours of each point, closest first."""

    squares: Array
    """Squared distances, ``[n, count]``."""
    index: Integers
    """Indices of the neighbours, ``[n, count]``."""


def nearest(points: Sample, among: Sample, count: int) -> Near:
    """Find at least the ``count`` nearest neighbours of each point among the images of ``among``.

    If both are the same set, an image is not its own neighbour. Distances are computed from differences, so that the
    distance to a copy is exactly 0. Raises ``ValueError`` if there are too few images, if the dimensions of the
    features differ, and for NaN or infinity.
    """
    there = len(among) - (points is among)
    if there < count:
        text = f"{count} nearest neighbours need at least {count + (points is among)} images, not {len(among)}"
        raise ValueError(text)
    wide = max(count, min(SHARED, there))
    return points.once(("nearest", among, wide), lambda: _search(points, among, wide))


def squares(x: Array, y: Array) -> Array:
    """The squared distance of every pair, float64 ``[len(x), len(y)]``, with an error relative to ``|x|^2 + |y|^2``."""
    found = x @ y.T
    found *= -2
    found += np.square(x).sum(1)[:, None]
    found += np.square(y).sum(1)
    return np.asarray(found)


def blocks(n: int) -> Iterator[slice]:
    """Slices of the rows that are converted to float64 at a time."""
    return (slice(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK))


def _search(points: Sample, among: Sample, count: int) -> Near:
    check_widths(table(points.features)[1], table(among.features)[1])
    found = [_search_for(points, i, among, count) for i in blocks(len(points))]
    return Near(np.concatenate([near.squares for near in found]), np.concatenate([near.index for near in found]))


def _search_for(points: Sample, i: slice, among: Sample, count: int) -> Near:
    x = float64(points.features[i])
    best, index = np.full((len(x), 0), np.inf), np.full((len(x), 0), 0)
    for j in blocks(len(among)):
        there = squares(x, float64(among.features[j]))
        if points is among and i == j:
            np.fill_diagonal(there, np.inf)
        there = np.concatenate([best, there], axis=1)
        numbers = np.concatenate([index, np.broadcast_to(np.arange(j.start, j.stop), (len(x), j.stop - j.start))], 1)
        chosen = np.argpartition(there, min(count, there.shape[1]) - 1, axis=1)[:, :count]
        best, index = (np.take_along_axis(of, chosen, axis=1) for of in (there, numbers))
    y = np.asarray(among.features[index.ravel()], np.float64).reshape(*index.shape, -1)
    best = np.square(x[:, None] - y).sum(2)
    order = np.argsort(best, axis=1, kind="stable")
    return Near(*(np.take_along_axis(of, order, axis=1) for of in (best, index)))
