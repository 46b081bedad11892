"""Counts of points in balls, and what they become when a ball's image is left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from designspace.evaluation.neighbours import Integers

Mask = NDArray[np.bool_]


class Tally:
    """How many points lie in each ball, and how many balls each point lies in."""

    def __init__(self, balls: int, points: int) -> None:
        self.per_ball, self._sums = np.zeros(balls, np.int64), np.zeros(balls)
        self.per_point = np.zeros(points, np.int64)

    def add(self, balls: slice, points: slice, inside: Mask) -> None:
        """Count ``inside [balls, points]``."""
        ball, point = np.nonzero(inside)
        self.per_ball[balls] += np.bincount(ball, minlength=len(inside))
        self._sums[balls] += np.bincount(ball, point + points.start, len(inside))
        self.per_point[points] += np.bincount(point, minlength=inside.shape[1])

    def filled(self) -> int:
        """The number of balls with a point in them."""
        return int(np.count_nonzero(self.per_ball))

    def only(self) -> Integers:
        """The points that are alone in a ball, as often as they are."""
        return np.asarray(self._sums[self.per_ball == 1], np.int64)


class Leaving:
    """How many points lie in balls, and how that changes when a ball's image is left out.

    Its own ball goes; balls that it was among the k neighbours of grow to their neighbour k + 1, and may take in points
    of the shell in between. All balls are to be added for a block of points before that block is closed.
    """

    def __init__(self, index: Integers, k: int, balls: int, points: int) -> None:
        self._near, self._m = index[:, :k], points
        self._count, self._sums = np.zeros(points, np.int64), np.zeros(points)
        self._shells: list[tuple[Integers, Integers]] = []
        self.change = np.zeros(balls, np.int64) if index.shape[1] > k else None

    def add(self, balls: slice, points: slice, inside: Mask, shell: Mask) -> None:
        """Count points ``inside [balls, points]``, and remember those of the ``shell`` that few balls hold."""
        ball, point = np.nonzero(inside)
        self._count[points] += np.bincount(point, minlength=inside.shape[1])
        self._sums[points] += np.bincount(point, ball + balls.start, inside.shape[1])
        ball, point = np.nonzero(shell & (self._count[points] < 2))
        self._shells.append((ball + balls.start, point + points.start))

    def close(self, points: slice) -> None:
        """Work out what leaving an image out changes for these points."""
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
        """The number of points that lie in a ball."""
        return int(np.count_nonzero(self._count))
