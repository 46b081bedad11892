r"""Precision, recall, density and coverage: counts of images in balls around other images.

The ball around an image reaches to its k-th nearest neighbour, so that the balls of a set cover its manifold.
Kynkäänniemi et al. (2019), https://arxiv.org/abs/1904.06991; Naeem et al. (2020), https://arxiv.org/abs/2002.09797.
All four metrics are counted in one pass over the distances between generated and reference images, for all published
values of k at once.

An image on the surface of a ball lies inside it: its squared distance may equal the squared radius (``<=``, as in Eq. 1
of Kynkäänniemi et al.) or exceed it by ``ROUNDING`` times the squared norm of the centre. The package prdc of Naeem et
al. compares with ``<``. The two agree unless distances tie, which happens if generated images are copies of reference
images (a copy of the k-th neighbour of y lies on the ball around y) and if the set whose images are the centres has k
or more copies of an image (the ball has radius 0 and holds further copies here, but nothing in prdc).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Array, check_widths, float64, table
from designspace.evaluation.neighbours import Integers, Near, blocks, nearest, squares
from designspace.evaluation.rows import Metric
from designspace.registry.component import Neighbours

Mask = NDArray[np.bool_]


class Tally:
    """Counts the points in each ball and the balls around each point."""

    def __init__(self, balls: int, points: int) -> None:
        self.per_ball, self._sums = np.zeros(balls, np.int64), np.zeros(balls)
        self.per_point = np.zeros(points, np.int64)

    def add(self, balls: slice, points: slice, inside: Mask) -> None:
        """Add a block of the matrix that tells which points lie in which balls, ``inside [balls, points]``."""
        ball, point = np.nonzero(inside)
        self.per_ball[balls] += np.bincount(ball, minlength=len(inside))
        self._sums[balls] += np.bincount(ball, point + points.start, len(inside))
        self.per_point[points] += np.bincount(point, minlength=inside.shape[1])

    def filled(self) -> int:
        """The number of balls that contain a point."""
        return int(np.count_nonzero(self.per_ball))

    def only(self) -> Integers:
        """The points that are alone in a ball, once per such ball."""
        return np.asarray(self._sums[self.per_ball == 1], np.int64)


class Leaving:
    """Counts the points that lie in any ball, and how this count changes when the image of one ball is left out.

    Leaving an image out removes its own ball. A ball that had it among its k nearest neighbours grows to neighbour
    k + 1 and may take in points from the shell in between. For each block of points, all balls must be added before the
    block is closed.
    """

    def __init__(self, index: Integers, k: int, balls: int, points: int) -> None:
        self._near, self._m = index[:, :k], points
        self._count, self._sums = np.zeros(points, np.int64), np.zeros(points)
        self._shells: list[tuple[Integers, Integers]] = []
        self.change = np.zeros(balls, np.int64) if index.shape[1] > k else None

    def add(self, balls: slice, points: slice, inside: Mask, shell: Mask) -> None:
        """Count the points ``inside [balls, points]``; remember those in a ``shell`` that may depend on one image."""
        ball, point = np.nonzero(inside)
        self._count[points] += np.bincount(point, minlength=inside.shape[1])
        self._sums[points] += np.bincount(point, ball + balls.start, inside.shape[1])
        ball, point = np.nonzero(shell & (self._count[points] < 2))
        self._shells.append((ball + balls.start, point + points.start))

    def close(self, points: slice) -> None:
        """Compute the effect of leaving out each image on these points."""
        ball, point = (np.concatenate(each) for each in zip(*self._shells, strict=True))
        self._shells.clear()
        if self.change is None:
            return
        only = self._sums.astype(np.int64)
        lost = np.flatnonzero(self._count[points] == 1) + points.start
        alone = self._count[point] == 1
        saved = point[alone & (self._near[ball] == only[point][:, None]).any(1)]
        lost = np.setdiff1d(lost, saved)
        free = self._count[point] == 0
        gained = np.unique(self._near[ball[free]] * self._m + point[free][:, None]) // self._m
        size = len(self.change)
        self.change += np.bincount(gained, minlength=size) - np.bincount(only[lost], minlength=size)

    def covered(self) -> int:
        """The number of points that lie in at least one ball."""
        return int(np.count_nonzero(self._count))


PUBLISHED = (3, 5)
"""The published values of k: for precision and recall, and for density and coverage."""
ROUNDING = 1e-12
"""Tolerance of squared distances, relative to the squared norm of the centre, so that rounding breaks no tie."""


class OverlapMetric(Metric):
    """A metric computed from ``overlap``, with a best value of about 1. ``measure`` raises what ``overlap`` raises."""

    higher_is_better: ClassVar[bool | None] = True
    k: Neighbours

    @property
    def least(self) -> int:
        return self.k + 1


@dataclass(frozen=True)
class Overlap:
    """Which images of each set lie in the balls around the images of the other."""

    inside: Integers
    """The number of reference balls that contain each generated image, ``[n]``."""
    covered: int
    """The number of reference balls that contain a generated image."""
    covered_without: Integers
    """The same number when each generated image is left out in turn, ``[n]``."""
    recalled: int
    """The number of reference images that lie in the ball of a generated image."""
    recalled_without: Integers | None
    """The same number when each generated image is left out in turn, ``[n]``; ``None`` if n - 1 <= k."""


def overlap(generated: Sample, reference: Sample, k: int) -> Overlap:
    """Count the images in the balls of the other set, with balls that reach to the k-th nearest neighbour.

    Raises ``ValueError`` if either set has at most k images, if all features of the reference are equal, if the
    dimensions of the features differ, and for NaN or infinity.
    """
    if (n := min(len(generated), len(reference))) <= k:
        raise ValueError(f"balls to the k = {k} nearest neighbours need at least {k + 1} images per set, not {n}")
    together = tuple(sorted({k, *(other for other in PUBLISHED if other < n)}))
    counted = generated.once(("overlap", reference, together), lambda: _count(generated, reference, together))
    return counted[k]


def _count(generated: Sample, reference: Sample, ks: tuple[int, ...]) -> dict[int, Overlap]:
    m, n = len(reference), len(generated)
    check_widths(table(generated.features)[1], table(reference.features)[1])
    balls, own = nearest(reference, reference, max(ks)), nearest(generated, generated, min(max(ks) + 1, n - 1))
    if not balls.squares.any():
        raise ValueError(f"all {m} images of the reference have the same features, so every ball has radius 0")
    tallies = {k: (Tally(m, n), Leaving(own.index, k, n, m)) for k in ks}
    for j in blocks(m):
        y = float64(reference.features[j])
        for i in blocks(n):
            x = float64(generated.features[i])
            apart = squares(x, y)
            for k, (held, leaving) in tallies.items():
                held.add(j, i, (apart <= _reach(balls, k, j, y)).T)
                limit, next_limit = (_reach(own, of, i, x)[:, None] for of in (k, k + 1))
                leaving.add(i, j, apart <= limit, (apart > limit) & (apart <= next_limit))
        for _, leaving in tallies.values():
            leaving.close(j)
    return {k: _overlap(held, leaving) for k, (held, leaving) in tallies.items()}


def _reach(near: Near, k: int, rows: slice, x: Array) -> Array:
    """Squared radii of the balls; where there is no k-th neighbour, the distance of the last one."""
    return np.asarray(near.squares[rows, min(k, near.squares.shape[1]) - 1] + ROUNDING * np.square(x).sum(1))


def _overlap(held: Tally, leaving: Leaving) -> Overlap:
    covered = held.filled()
    lost = np.bincount(held.only(), minlength=len(held.per_point))
    recalled = leaving.covered()
    without = None if leaving.change is None else recalled + leaving.change
    return Overlap(held.per_point, covered, covered - lost, recalled, without)
