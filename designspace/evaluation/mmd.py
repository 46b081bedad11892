"""The squared maximum mean discrepancy (MMD) of two sets of features, with its standard error.

With the reference fixed, the squared MMD is the mean over pairs of generated images of a kernel h_ij. Its standard
error is that of this U-statistic, including the second-order term, so it also holds where generated and reference
images are alike. Hoeffding (1948), https://doi.org/10.1214/aoms/1177730196; Gretton et al. (2012), Eq. 3 and 5,
https://jmlr.org/papers/v13/gretton12a.html
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Protocol

import numpy as np
import torch

from designspace.evaluation.measure import Measured, Sample, shuffled
from designspace.evaluation.moments import Array, Features, check_widths, float64, table

BLOCK = 1024
"""The number of images whose features are converted to float64 at a time."""


class Kernel(Hashable, Protocol):
    """A kernel of features that depends on their products and lengths: a frozen dataclass, as results are kept by it.

    ``products`` holds the scalar products of pairs (x, y) of features of dimension ``d``; ``x`` and ``y``, which are
    broadcast to its shape, hold their squared lengths. Returns the kernel of each pair, in a new array.
    """

    def __call__(self, products: Array, x: Array, y: Array, d: int) -> Array: ...


def squared_mmd(generated: Sample, reference: Sample, kernel: Kernel, *, diagonal: float | None = None) -> Measured:
    r"""The squared MMD for a fixed reference, with its influences of first and second order.

    Without ``diagonal`` this is the unbiased estimate, a U-statistic. If all k(x, x) have the same value, ``diagonal``,
    giving it adds the pairs of each image with itself to the means of both sets, as in a V-statistic. The V-statistic
    of n images is the U-statistic of the kernel :math:`(1 - 1/n)\, k + k(x, x) / n`, and so are its errors.

    There is no standard error for fewer than 4 images. Raises ``ValueError`` for fewer than 2.
    """
    n, m = len(generated), len(reference)
    if min(n, m) < 2:
        raise ValueError(f"a mean over pairs needs at least 2 images, not {min(n, m)}")
    of_reference = _with_diagonal(kernel, m, diagonal)
    key = ("mean of pairs", kernel, diagonal)
    own = reference.once(key, lambda: float(_pair_sums(reference.features, np.zeros(m), of_reference)[0].sum()))
    near = _cross_means(generated.features, reference.features, kernel)
    of_pairs = _with_diagonal(kernel, n, diagonal)
    return _u_statistic(generated.features, near - own / (m * (m - 1)) / 2, of_pairs)


Function = Callable[[Array, Array, Array, int], Array]


def _with_diagonal(kernel: Kernel, n: int, diagonal: float | None) -> Function:
    """The kernel whose mean over the pairs of n images is that of ``kernel``, with the diagonal if it is given."""
    if diagonal is None:
        return kernel
    return lambda products, x, y, d: (1 - 1 / n) * kernel(products, x, y, d) + diagonal / n


def _u_statistic(features: Features, shift: Array, kernel: Function) -> Measured:
    """The mean of h_ij = k_ij - shift_i - shift_j over all pairs i != j."""
    n = len(features)
    pairs = n * (n - 1)
    rows, squares = _pair_sums(features, shift, kernel)
    value = float(rows.sum()) / pairs
    rows, squares = rows - value * (n - 1), max(squares - value**2 * pairs, 0.0)
    variance = (4 * max(float(rows @ rows) - squares, 0.0) + 2 * squares) / pairs**2
    influence = torch.from_numpy(2 * rows / (n - 1)).float()
    second = torch.from_numpy(_second_order(features, shift, rows / (n - 1), value, kernel)).float()
    return Measured(value, variance**0.5 if n >= 4 else None, influence, second)


def _second_order(features: Features, shift: Array, first: Array, value: float, kernel: Function) -> Array:
    """``2 (h_ij - h_i - h_j + h)`` for each image i and its predecessor j in ``shuffled`` order, float64 ``[n]``."""
    order = shuffled(len(features))
    before = np.empty_like(order)
    before[order] = np.roll(order, 1)
    found = np.empty(len(features))
    for i in _blocks(len(features)):
        x, y = float64(features[i]), float64(features[before[i]])
        found[i] = kernel((x * y).sum(1), _squares(x), _squares(y), x.shape[1])
    alone = shift + first
    return np.asarray(2 * (found - value - alone - alone[before]))


def _cross_means(x: Features, y: Features, kernel: Function) -> Array:
    """The mean of k(x_i, y) over ``y [m, d]`` for each row of ``x [n, d]``: float64 ``[n]``."""
    check_widths(table(x)[1], table(y)[1])
    sums = np.zeros(len(x))
    for i in _blocks(len(x)):
        for j in _blocks(len(y)):
            sums[i] += _of_all(x[i], y[j], kernel).sum(1)
    return sums / len(y)


def _pair_sums(x: Features, shift: Array, kernel: Function) -> tuple[Array, float]:
    """With h_ij = k_ij - shift_i - shift_j for i != j: the sums over j, ``[n]``, and the sum of all squares."""
    rows, squares = np.zeros(len(x)), 0.0
    for i in _blocks(len(x)):
        for j in _blocks(len(x), i.start):
            h = _of_all(x[i], x[j], kernel) - shift[i, None] - shift[j]
            if i == j:
                np.fill_diagonal(h, 0)
            else:
                rows[j] += h.sum(0)
            rows[i] += h.sum(1)
            squares += (1 if i == j else 2) * float(np.vdot(h, h))
    return rows, squares


def _of_all(x: Features, y: Features, kernel: Function) -> Array:
    """The kernel of every pair, float64 ``[len(x), len(y)]``."""
    a, b = float64(x), float64(y)
    return kernel(a @ b.T, _squares(a)[:, None], _squares(b), a.shape[1])


def _squares(x: Array) -> Array:
    return np.asarray(np.einsum("nd,nd->n", x, x))


def _blocks(n: int, start: int = 0) -> Iterator[slice]:
    return (slice(i, min(i + BLOCK, n)) for i in range(start, n, BLOCK))
