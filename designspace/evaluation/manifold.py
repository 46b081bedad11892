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
import torch
from torch import Tensor

from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Array, check_widths, table
from designspace.evaluation.neighbours import Integers, Near, blocks, nearest, rounding, squares_of
from designspace.evaluation.products import Centred, centre_of, product_device
from designspace.evaluation.rows import Metric
from designspace.registry.component import Neighbours
from designspace.registry.float32 import full_float32

Pairs = tuple[Integers, Integers]
"""The pairs of a ball and a point for which a block of a matrix is true, as row and column numbers."""


class Tally:
    """Counts the points in each ball and the balls around each point."""

    def __init__(self, balls: int, points: int) -> None:
        self.per_ball, self._sums = np.zeros(balls, np.int64), np.zeros(balls)
        self.per_point = np.zeros(points, np.int64)

    def add(self, balls: slice, points: slice, pairs: Pairs) -> None:
        """Add a block of the matrix that tells which points lie in which balls, by its ``pairs`` that are true."""
        ball, point = pairs
        self.per_ball[balls] += np.bincount(ball, minlength=balls.stop - balls.start)
        self._sums[balls] += np.bincount(ball, point + points.start, balls.stop - balls.start)
        self.per_point[points] += np.bincount(point, minlength=points.stop - points.start)

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

    def add(self, balls: slice, points: slice, inside: Pairs, shell: Pairs) -> None:
        """Count the points ``inside`` the balls; remember those in a ``shell`` that may depend on one image."""
        ball, point = inside
        size = points.stop - points.start
        self._count[points] += np.bincount(point, minlength=size)
        self._sums[points] += np.bincount(point, ball + balls.start, size)
        ball, point = (of[self._count[points][shell[1]] < 2] for of in shell)
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
    with full_float32():
        counted = generated.once(("overlap", reference, together), lambda: _count(generated, reference, together))
    return counted[k]


def _count(generated: Sample, reference: Sample, ks: tuple[int, ...]) -> dict[int, Overlap]:
    m, n = len(reference), len(generated)
    check_widths(table(generated.features)[1], table(reference.features)[1])
    balls, own = nearest(reference, reference, max(ks)), nearest(generated, generated, min(max(ks) + 1, n - 1))
    if not balls.squares.any():
        raise ValueError(f"all {m} images of the reference have the same features, so every ball has radius 0")
    between = Between(generated.features, reference.features, own, balls, ks)
    tallies = {k: (Tally(m, n), Leaving(own.index, k, n, m)) for k in ks}
    for j in blocks(m):
        for i in blocks(n):
            x, y, apart = between.close(i, j)
            for k, (held, leaving) in tallies.items():
                theirs = apart <= between.theirs[k][j][y]
                held.add(j, i, (y[theirs], x[theirs]))
                inside, next_inside = (apart <= between.ours[of][i][x] for of in (k, k + 1))
                shell = next_inside & ~inside
                leaving.add(i, j, (x[inside], y[inside]), (x[shell], y[shell]))
        for _, leaving in tallies.values():
            leaving.close(j)
    return {k: _overlap(held, leaving) for k, (held, leaving) in tallies.items()}


class Between:
    """The pairs of a generated and a reference image of which one lies in a ball around the other.

    Distances are computed from products in float32. Those that differ from the radius of a ball by less than their
    error are computed again in float64 from differences, so that all decisions are those of float64.
    """

    def __init__(self, x: Tensor, y: Tensor, own: Near, balls: Near, ks: tuple[int, ...]) -> None:
        device, centre = product_device(), centre_of(y)
        self._x, self._y = x.to(device), y.to(device)
        self._ours, self._theirs = (Centred.of(of, centre, torch.float32) for of in (x, y))
        self.ours = {k: _reach(own, k, self._ours) for k in sorted({*ks, *(k + 1 for k in ks)})}
        self.theirs = {k: _reach(balls, k, self._theirs) for k in ks}
        self._error = rounding(x.shape[1])
        self._farthest = [torch.from_numpy(of[max(of)]).float().to(device) for of in (self.ours, self.theirs)]
        self._least = [((1 - self._error) * of.squares).float() for of in (self._ours, self._theirs)]

    def close(self, i: slice, j: slice) -> tuple[Integers, Integers, Array]:
        """Row and column numbers of these pairs in a block of pairs, and their squared distances."""
        (of_x, of_y), (near_x, near_y) = self._least, self._farthest
        least = torch.addmm(of_y[j], self._ours.x[i], self._theirs.x[j].mT, alpha=-2)
        least += of_x[i, None]
        x, y = _true((least <= near_x[i, None]) | (least <= near_y[j]))
        error = self._error * (self._ours.squares[i][x] + self._theirs.squares[j][y])
        apart = least[x, y].double() + error
        rows, columns, found, slack = (of.cpu().numpy() for of in (x, y, apart, error))
        doubt = np.zeros(len(rows), bool)
        for limits, block, of in ((self.ours, i, rows), (self.theirs, j, columns)):
            for limit in limits.values():
                doubt |= np.abs(found - limit[block][of]) <= slack
        again = torch.from_numpy(np.flatnonzero(doubt)).to(x.device)
        if len(again):
            exact = squares_of(self._x, x[again] + i.start, self._y, y[again] + j.start)
            found[doubt] = exact.cpu().numpy()
        return rows, columns, found


def _true(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column numbers of the entries that are true."""
    if mask.is_cuda:
        rows, columns = mask.nonzero(as_tuple=True)
        return rows, columns
    i, j = np.divmod(np.flatnonzero(mask.numpy()), mask.shape[1])  # many times as fast as ``nonzero``
    return torch.from_numpy(i), torch.from_numpy(j)


def _reach(near: Near, k: int, x: Centred) -> Array:
    """Squared radii of the balls; where there is no k-th neighbour, the distance of the last one."""
    return np.asarray(near.squares[:, min(k, near.squares.shape[1]) - 1] + ROUNDING * x.lengths.cpu().numpy())


def _overlap(held: Tally, leaving: Leaving) -> Overlap:
    covered = held.filled()
    lost = np.bincount(held.only(), minlength=len(held.per_point))
    recalled = leaving.covered()
    without = None if leaving.change is None else recalled + leaving.change
    return Overlap(held.per_point, covered, covered - lost, recalled, without)
