"""The squared maximum mean discrepancy (MMD) of two sets of features, with its standard error.

With the reference fixed, the squared MMD is the mean over pairs of generated images of a kernel h_ij. Its standard
error is that of this U-statistic, including the second-order term, so it also holds where generated and reference
images are alike. Hoeffding (1948), https://doi.org/10.1214/aoms/1177730196; Gretton et al. (2012), Eq. 3 and 5,
https://jmlr.org/papers/v13/gretton12a.html

Scalar products of centred features are computed in float32 where there are more than ``EXACT`` pairs, and everything
else in float64. Since rounding errors of single pairs cancel in sums over so many, the value differs from that of
float64 products by less than 1e-6 of itself or of its standard error, whichever is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from designspace.evaluation.measure import Draw, Measured, Sample, Tensors, shuffled
from designspace.evaluation.moments import Features, check_widths, float64, table
from designspace.evaluation.products import Centred, centre_of, slices
from designspace.registry.float32 import full_float32

BLOCK = 1024
"""The number of columns of a block of pairs on a CPU; it has a quarter as many rows, so that it stays in the cache."""
ON_GPU = 8
"""How many times as many rows and columns a block has on a GPU."""
VERSION = 1
"""Raised when the means that are saved for references change."""
EXACT = 2**23
"""The largest number of pairs whose products are computed in float64."""


class Kernel(Hashable, Protocol):
    """A kernel of features that depends on their products and lengths: a frozen dataclass, whose text names results.

    ``products``, float64, holds the scalar products of pairs (x, y) of features of dimension ``d``; ``x`` and ``y``,
    which are broadcast to its shape, hold their squared lengths. Returns the kernel of each pair, and may overwrite
    ``products`` to do so.
    """

    def __call__(self, products: Tensor, x: Tensor, y: Tensor, d: int) -> Tensor: ...


Function = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def squared_mmd(generated: Sample, reference: Sample, kernel: Kernel, *, diagonal: float | None = None) -> Measured:
    r"""The squared MMD for a fixed reference, with its influences of first and second order.

    Without ``diagonal`` this is the unbiased estimate, a U-statistic. If all k(x, x) have the same value, ``diagonal``,
    giving it adds the pairs of each image with itself to the means of both sets, as in a V-statistic. The V-statistic
    of n images is the U-statistic of the kernel :math:`(1 - 1/n)\, k + k(x, x) / n`, and so are its errors.

    There is no standard error for fewer than 4 images. Raises ``ValueError`` for fewer than 2.
    """
    n, m = len(generated), len(reference)
    _require_pairs(n, m)
    check_widths(table(generated.features)[1], table(reference.features)[1])
    with full_float32():
        own = _own_mean(reference, kernel)
        near = _cross_means(generated.features, reference, kernel)
        shift = near - _with_diagonal(own, m, diagonal) / 2
        return _u_statistic(generated.features, shift, kernel, diagonal, centre_of(reference.features))


def mmd_of_draws(
    reference: Sample, draws: Sequence[Draw], kernel: Kernel, *, diagonal: float | None = None
) -> list[float]:
    """The squared MMD of images drawn from the reference, in one pass over its pairs for all ``draws``.

    A draw of n images is a weighting w of the m images of the reference, so that its sums over pairs are those of K w,
    where K is the kernel of all pairs of the reference. The same pass yields the mean of K.
    """
    m, n = len(reference), len(draws[0])
    _require_pairs(n, m)
    with full_float32():
        counts = torch.from_numpy(np.stack([np.bincount(draw, minlength=m) for draw in draws], 1)).double()
        x = _centred(reference.features, centre_of(reference.features), m * m)
        sums, alone = _weighted_sums(x, kernel, torch.cat([torch.ones(m, 1, dtype=torch.float64), counts], 1))
    own = float(reference.saved(_name(kernel), lambda: _mean_of_pairs(sums[:, 0], alone))["mean"])
    among = ((counts * (sums[:, 1:] - alone[:, None])).sum(0) / (n * (n - 1))).tolist()
    near = (counts.mT @ sums[:, 0] / (n * m)).tolist()
    both = (_with_diagonal(of, n, diagonal) - 2 * to for of, to in zip(among, near, strict=True))
    return [value + _with_diagonal(own, m, diagonal) for value in both]


def _require_pairs(*sizes: int) -> None:
    if min(sizes) < 2:
        raise ValueError(f"a mean over pairs needs at least 2 images, not {min(sizes)}")


def _with_diagonal(mean: float, n: int, diagonal: float | None) -> float:
    """A mean over pairs of n images, to which the pairs of each image with itself are added if they are given."""
    return mean if diagonal is None else (1 - 1 / n) * mean + diagonal / n


def _centred(features: Features, centre: Tensor, pairs: int) -> Centred:
    return Centred.of(features, centre, torch.float64 if pairs <= EXACT else torch.float32)


def _name(kernel: Kernel) -> str:
    return f"mean of pairs {VERSION}: {kernel}"


def _own_mean(reference: Sample, kernel: Kernel) -> float:
    """The mean of the kernel over all pairs of different images of the reference."""

    def make() -> Tensors:
        m = len(reference)
        x = _centred(reference.features, centre_of(reference.features), m * m)
        sums, alone = _weighted_sums(x, kernel, torch.ones(m, 1, dtype=torch.float64))
        return _mean_of_pairs(sums[:, 0], alone)

    return float(reference.saved(_name(kernel), make)["mean"])


def _mean_of_pairs(sums: Tensor, alone: Tensor) -> Tensors:
    """The mean over pairs of different images, from the sums over all images and the kernel of each with itself."""
    return {"mean": (sums - alone).sum() / (len(sums) * (len(sums) - 1))}


def _weighted_sums(x: Centred, kernel: Kernel, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The product of the kernel of all pairs with ``weights [n, L]``, and the kernel of each with itself, ``[n]``."""
    weights = weights.to(x.along.device)
    alone = kernel(x.lengths.clone(), x.lengths, x.lengths, x.x.shape[1])
    sums = torch.zeros_like(weights)
    for i in slices(len(x), _rows(x)):
        for j in _from_diagonal(i, len(x), _columns(x)):
            k = _of_all(x, i, x, j, kernel)
            if i == j:
                k.diagonal().copy_(alone[i])
            else:
                sums[j] += k.mT @ weights[i]
            sums[i] += k @ weights[j]
    return sums.cpu(), alone.cpu()


def _cross_means(features: Features, reference: Sample, kernel: Kernel) -> Tensor:
    """The mean of k(x_i, y) over the reference for each row of ``features [n, d]``: float64 ``[n]``, on the CPU."""
    centre, pairs = centre_of(reference.features), len(features) * len(reference)
    x, y = (_centred(of, centre, pairs) for of in (features, reference.features))
    sums = torch.zeros_like(x.along)
    for i in slices(len(x), _rows(x)):
        for j in slices(len(y), _columns(x)):
            sums[i] += _of_all(x, i, y, j, kernel).sum(1)
    return sums.cpu() / len(y)


def _u_statistic(features: Features, shift: Tensor, kernel: Kernel, diagonal: float | None, centre: Tensor) -> Measured:
    """The mean of h_ij = k_ij - shift_i - shift_j over all pairs i != j."""
    n = len(features)
    pairs = n * (n - 1)
    of_pairs = _function(kernel, n, diagonal)
    x = _centred(features, centre, n * n)
    rows, squares = _pair_sums(x, shift.to(x.along.device), of_pairs)
    value = float(rows.sum()) / pairs
    rows, squares = rows - value * (n - 1), max(squares - value**2 * pairs, 0.0)
    variance = (4 * max(float(rows @ rows) - squares, 0.0) + 2 * squares) / pairs**2
    second = _second_order(features, shift, rows / (n - 1), value, of_pairs)
    return Measured(value, variance**0.5 if n >= 4 else None, (2 * rows / (n - 1)).float(), second.float())


def _function(kernel: Kernel, n: int, diagonal: float | None) -> Function:
    """The kernel whose mean over the pairs of n images is that of ``kernel``, with the diagonal if it is given."""
    if diagonal is None:
        return kernel
    return lambda products, x, y, d: kernel(products, x, y, d).mul_(1 - 1 / n).add_(diagonal / n)


def _second_order(features: Features, shift: Tensor, first: Tensor, value: float, kernel: Function) -> Tensor:
    """``2 (h_ij - h_i - h_j + h)`` for each image i and its predecessor j in ``shuffled`` order, float64 ``[n]``."""
    order = torch.from_numpy(shuffled(len(features)))
    before = torch.empty_like(order)
    before[order] = order.roll(1)
    found = torch.empty(len(features), dtype=torch.float64)
    for i in slices(len(features), BLOCK):
        x, y = (torch.from_numpy(float64(rows)) for rows in (features[i], features[before[i]]))
        found[i] = kernel((x * y).sum(1), x.square().sum(1), y.square().sum(1), x.shape[1])
    alone = shift + first
    return 2 * (found - value - alone - alone[before])


def _pair_sums(x: Centred, shift: Tensor, kernel: Function) -> tuple[Tensor, float]:
    """With h_ij = k_ij - shift_i - shift_j for i != j: the sums over j, ``[n]``, and the sum of all squares."""
    rows, squares = torch.zeros_like(shift), torch.zeros_like(shift[0])
    for i in slices(len(x), _rows(x)):
        for j in _from_diagonal(i, len(x), _columns(x)):
            h = _of_all(x, i, x, j, kernel).sub_(shift[i, None]).sub_(shift[j])
            if i == j:
                h.fill_diagonal_(0)
            else:
                rows[j] += h.sum(0)
            rows[i] += h.sum(1)
            squares += (1 if i == j else 2) * torch.linalg.vector_norm(h).square()
    return rows.cpu(), float(squares)


def _from_diagonal(rows: slice, n: int, size: int) -> Iterator[slice]:
    """The columns from the diagonal of a symmetric matrix: a square block on it, and blocks to its right."""
    yield rows
    yield from slices(n, size, rows.stop)


def _of_all(x: Centred, i: slice, y: Centred, j: slice, kernel: Function) -> Tensor:
    """The kernel of every pair, float64, in a new tensor."""
    products = (x.x[i] @ y.x[j].mT).double()
    products += x.along[i, None]
    products += y.along[j]
    return kernel(products, x.lengths[i, None], y.lengths[j], x.x.shape[1])


def _columns(x: Centred) -> int:
    return BLOCK * (ON_GPU if x.x.is_cuda else 1)


def _rows(x: Centred) -> int:
    return max(_columns(x) // 4, 1)
