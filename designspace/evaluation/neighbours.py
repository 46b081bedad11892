"""Nearest neighbours of features by Euclidean distance, computed in blocks so that memory grows with n, not n^2.

Candidates are found by distances from float32 products, and their distances are then computed in float64 from
differences. The error of float32 is bounded for each image; images for which this bound leaves a doubt are searched
again with products in float64. The neighbours are therefore those of float64, except that neighbours whose distances
are equal within the rounding of float64 may be interchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designspace.evaluation.measure import Sample, Tensors
from designspace.evaluation.moments import Array, check_widths, table
from designspace.evaluation.products import Centred, centre_of, product_device, slices
from designspace.registry.float32 import full_float32

Integers = NDArray[np.int64]

BLOCK = 1024
"""The number of rows of a block of pairs on a CPU."""
WIDE = 8
"""How many times as many columns as rows a block of a search has, and how many times as many rows it has on a GPU."""
SHARED = 6
"""The smallest number of neighbours to search for, so that metrics with different k share one search."""
VERSION = 1
"""Raised when the neighbours that are saved for references change."""
MARGIN = 8
"""The number of candidates beside the neighbours."""
GROUPS = 32
"""The number of groups of columns whose minima are compared first; only the best columns are compared in full."""
DIFFERENCES = 2**18
"""The number of features that are subtracted at a time."""


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
    known: Near | None = points.kept.get(("nearest", among))
    if known is None or known.squares.shape[1] < wide:
        if points is among:
            found = points.saved(f"nearest {wide} of the others {VERSION}", lambda: _search(points, points, wide))
        else:
            found = _search(points, among, wide)
        known = points.kept["nearest", among] = Near(found["squares"].numpy(), found["index"].numpy())
    return known


def blocks(n: int) -> Iterator[slice]:
    """Slices of the rows of a block of pairs."""
    return slices(n, _rows())


def rounding(d: int, dtype: torch.dtype = torch.float32) -> float:
    """The largest error of a squared distance from products of centred features, relative to |x|^2 + |y|^2.

    Each product of d numbers has an error of at most d u |x| |y|, where u is half of the machine epsilon; the rest is
    for the other roundings. Higham (2002), Accuracy and Stability of Numerical Algorithms, Section 3.1.
    """
    return (d + 16) * torch.finfo(dtype).eps / 2


def squares_of(x: Tensor, i: Tensor, y: Tensor, j: Tensor) -> Tensor:
    """The squared distances of pairs of rows of ``x`` and ``y``, float64, computed from differences."""
    found = torch.empty(i.shape, dtype=torch.float64, device=x.device)
    for part in slices(len(i), max(DIFFERENCES // (x.shape[1] * i[:1].numel() or 1), 1)):
        found[part] = (x[i[part]].double() - y[j[part]].double()).square_().sum(-1)
    return found


def _rows() -> int:
    return BLOCK * (WIDE if product_device().type == "cuda" else 1)


def _search(points: Sample, among: Sample, count: int) -> Tensors:
    check_widths(table(points.features)[1], table(among.features)[1])
    search = _Search(points.features, among.features, points is among)
    with full_float32():
        squares, index, sure = search.find(torch.arange(len(points)), count, torch.float32)
        if not sure.all():
            again = (~sure).nonzero().flatten()
            squares[again], index[again], _ = search.find(again, count, torch.float64)
    return {"squares": squares, "index": index}


@dataclass(frozen=True)
class _Search:
    """The search for neighbours of the rows of ``x`` among those of ``y``."""

    x: Tensor
    y: Tensor
    same: bool

    def find(self, rows: Tensor, count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Squared distances and indices of the neighbours of ``rows``, and for which rows no others can be nearer."""
        centre, device = centre_of(self.y), product_device()
        x, y = (Centred.of(of, centre, dtype) for of in (self.x[rows], self.y))
        ours, theirs = self.x.to(device)[rows.to(device)], self.y.to(device)
        parts = []
        for i in slices(len(rows), max(_rows() // 4, 1)):
            least, index = self._candidates(x, i, y, rows[i].to(device), min(count + MARGIN, len(y) - self.same))
            here = torch.arange(i.start, i.stop, device=device)[:, None].expand_as(index)
            squares, order = _sorted(squares_of(ours, here, theirs, index), index)
            squares, index = squares[:, :count], index.gather(1, order)[:, :count]
            farthest = least.double().amax(1) + x.squares[i]
            reach = x.squares[i].sqrt() + squares[:, -1].sqrt()  # the length of a nearer image is at most this
            slack = rounding(x.x.shape[1], dtype) * (x.squares[i] + reach.square())
            all_seen = least.shape[1] == len(y) - self.same
            parts.append((squares, index, (farthest > squares[:, -1] + slack) | all_seen))
        return tuple(torch.cat(each).cpu() for each in zip(*parts, strict=True))  # type: ignore[return-value]

    def _candidates(self, x: Centred, i: slice, y: Centred, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The least |y|^2 - 2 x'y of each row, which are squared distances up to |x|^2, and their indices."""
        best = torch.empty(i.stop - i.start, 0, dtype=x.x.dtype, device=rows.device)
        index = torch.empty(best.shape, dtype=torch.int64, device=rows.device)
        lengths = y.squares.to(x.x.dtype)
        for j in slices(len(y), _rows() * WIDE):
            apart = torch.addmm(lengths[j], x.x[i], y.x[j].mT, alpha=-2)
            if self.same:
                own = ((rows >= j.start) & (rows < j.stop)).nonzero().flatten()
                apart[own, rows[own] - j.start] = torch.inf
            some, where = _least(apart, count)
            best, index = torch.cat([best, some], 1), torch.cat([index, where + j.start], 1)
            best, chosen = best.topk(min(count, best.shape[1]), largest=False)
            index = index.gather(1, chosen)
        return best, index


def _least(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` smallest numbers of each row and their columns.

    They lie in the ``count`` groups with the smallest minima, and only these are sorted.
    """
    n, m = values.shape
    size = m // GROUPS
    if size < 2 * count:
        return values.topk(min(count, m), largest=False)
    whole, rest = values[:, : size * GROUPS].view(n, GROUPS, size), values[:, size * GROUPS :]
    groups = whole.amin(1).topk(count, largest=False).indices[:, None].expand(n, GROUPS, count)
    columns = groups + size * torch.arange(GROUPS, device=values.device)[:, None]
    last = torch.arange(size * GROUPS, m, device=values.device).expand(n, -1)
    found, chosen = torch.cat([whole.gather(2, groups).flatten(1), rest], 1).topk(count, largest=False)
    return found, torch.cat([columns.flatten(1), last], 1).gather(1, chosen)


def _sorted(squares: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances in increasing order, equal ones by index, and this order."""
    by_index = index.argsort(1)
    squares, order = squares.gather(1, by_index).sort(stable=True, dim=1)
    return squares, by_index.gather(1, order)
