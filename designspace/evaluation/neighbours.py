"""Nearest neighbours of features by Euclidean distance, in blocks: memory for O(n) numbers, never for all pairs."""

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
"""Neighbours that are always looked for, so that metrics with different k share the distances."""


@dataclass(frozen=True)
class Near:
    """The nearest neighbours of each point, the nearest first."""

    squares: Array
    """Their squared distances, ``[n, count]``."""
    index: Integers
    """Which they are, ``[n, count]``."""


def nearest(points: Sample, among: Sample, count: int) -> Near:
    """At least ``count`` nearest of ``among`` for each of ``points``; itself excepted, if both are the same set.

    Distances are those of differences: that of a copy is exactly 0. Raises ``ValueError`` if there are too few images,
    if the features' dimensions differ, and for NaN or infinity.
    """
    there = len(among) - (points is among)
    if there < count:
        text = f"{count} nearest neighbours take {count + (points is among)} images at least, not {len(among)}"
        raise ValueError(text)
    wide = max(count, min(SHARED, there))
    return points.once(("nearest", among, wide), lambda: _search(points, among, wide))


def squares(x: Array, y: Array) -> Array:
    """Every pair's squared distance, float64 ``[len(x), len(y)]``, up to rounding errors of ``|x|^2 + |y|^2``."""
    found = x @ y.T
    found *= -2
    found += np.square(x).sum(1)[:, None]
    found += np.square(y).sum(1)
    return np.asarray(found)


def blocks(n: int) -> Iterator[slice]:
    """Rows that are in float64 at once."""
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
