"""Density, coverage and recall of images that are drawn from the reference, from its nearest neighbours alone.

A drawn image is an image of the reference, so the neighbours of the images of the reference, which are computed once,
contain everything that is close to it. Only where a ball is larger than these neighbourhoods are distances computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from designspace.evaluation.manifold import ROUNDING, Between
from designspace.evaluation.measure import Draw, Sample
from designspace.evaluation.moments import Array
from designspace.evaluation.neighbours import Integers, Near, blocks, nearest
from designspace.registry.float32 import full_float32

DRAWN, MOST = 12, 160
"""The number of drawn images that the neighbours of an image should contain, and the largest number of neighbours."""


@dataclass(frozen=True)
class DrawnOverlap:
    """What is counted for one draw of n images from a reference of m."""

    inside: int
    """The number of pairs of a drawn image and a ball of the reference that contains it."""
    covered: int
    """The number of balls of the reference that contain a drawn image."""
    recalled: int
    """The number of images of the reference in the ball of a drawn image."""


def overlap_of_draws(reference: Sample, draws: Sequence[Draw], k: int) -> list[DrawnOverlap] | None:
    """Count the images in the balls of the other set, for each draw; see ``overlap``.

    ``None`` if it would be no faster than ``overlap`` itself: for draws that are much smaller than the reference, and
    for a reference with many copies of the same image. Raises ``ValueError`` as ``overlap`` does.
    """
    m, n = len(reference), len(draws[0])
    if min(m, n) <= k or (wide := min(m - 1, k + math.ceil(DRAWN / -math.expm1(-n / m)))) > MOST:
        return None
    near = nearest(reference, reference, wide)
    slack = ROUNDING * reference.features.double().square().sum(1).numpy()
    balls = near.squares[:, k - 1] + slack
    if not near.squares[:, k - 1].any() or not _complete(near, balls, m).all():
        return None
    inside = near.squares <= balls[:, None]
    found = []
    for draw in draws:
        counts = np.bincount(draw, minlength=m)
        held = counts + np.where(inside, counts[near.index], 0).sum(1)
        recalled = int(np.count_nonzero(_recalled(reference, near, slack, counts, k)))
        found.append(DrawnOverlap(int(held.sum()), int(np.count_nonzero(held)), recalled))
    return found


def _complete(near: Near, reach: Array, m: int) -> NDArray[np.bool_]:
    """Whether everything within squared distances ``reach [n]`` is among the neighbours of each image, ``[n]``."""
    return np.asarray((near.squares[:, -1] > reach) | (near.squares.shape[1] == m - 1))


def _recalled(reference: Sample, near: Near, slack: Array, counts: Integers, k: int) -> NDArray[np.bool_]:
    """Which images of the reference lie in the ball around one of the images that are drawn ``counts`` times."""
    drawn = np.flatnonzero(counts)
    around = Near(near.squares[drawn], near.index[drawn])
    others = counts[drawn][:, None] - 1 + np.cumsum(counts[around.index], 1)
    radius = np.take_along_axis(around.squares, (others >= k).argmax(1)[:, None], 1)[:, 0]
    radius[counts[drawn] > k] = 0
    reach = radius + slack[drawn]
    known = ((others[:, -1] >= k) | (counts[drawn] > k)) & _complete(around, reach, len(reference))
    found = counts > 0
    found[around.index[(around.squares <= reach[:, None]) & known[:, None]]] = True
    if not known.all():
        _add_far(found, reference, drawn[~known], counts, k)
    return found


def _add_far(found: NDArray[np.bool_], reference: Sample, some: Integers, counts: Integers, k: int) -> None:
    """Add what the balls around ``some`` drawn images contain, which exceed their neighbourhoods."""
    y = reference.features
    x, everything = Sample(y[torch.from_numpy(some)]), Sample(y[torch.from_numpy(np.repeat(np.arange(len(y)), counts))])
    near = nearest(x, everything, k + 1)  # the first one is the image itself
    none = Near(np.full((len(y), 1), -np.inf), np.zeros((len(y), 1), np.int64))
    own = Near(near.squares[:, k : k + 1], near.index[:, k : k + 1])
    with full_float32():
        between = Between(x.features, y, own, none, (1,))
        for i in blocks(len(some)):
            for j in blocks(len(y)):
                rows, columns, apart = between.close(i, j)
                found[columns[apart <= between.ours[1][i][rows]] + j.start] = True
