from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch

from designspace.evaluation.measure import Measured, Sample, shuffled
from designspace.evaluation.moments import Array, Features, check_widths, float64, table
from designspace.evaluation.rows import Metric
from designspace.registry.literature import BINKOWSKI_2018, HOEFFDING_1948


class KID(Metric, name="kid"):
    """The squared maximum mean discrepancy of the features, unbiased for independent sets; it may be negative.

    The sums are over all n generated features x and all m reference features y, both ``[., d]``: there are no random
    subsets and hence no seed. The value is not multiplied by 1000, as it is in some papers.

    With the reference fixed, KID is the mean over pairs of generated images of a kernel h_ij. The standard error is
    that of this U-statistic (Hoeffding, 1948), including the second-order term, so it also holds where generated and
    reference images are alike. It is ``None`` for fewer than 4 images. Raises ``ValueError`` for fewer than 2.

    Values below 0 need care. The value is unbiased only on average over references as well; a single reference adds the
    same offset to all trials. Images that a denoiser has memorised are not independent of the reference: they score
    below 0, like images drawn from the reference itself, and there lower is not better.
    """

    version: ClassVar[int] = 2
    formula = r"""
        \frac{1}{n (n - 1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m (m - 1)} \sum_{i \ne j} k(y_i, y_j)
            - \frac{2}{n m} \sum_{i, j} k(x_i, y_j), \qquad k(x, y) = (x^\top y / d + 1)^3
    """
    sources = (BINKOWSKI_2018, HOEFFDING_1948)

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        n = len(generated)
        pairs = n * (n - 1)
        if min(n, len(reference)) < 2:
            raise ValueError(f"a mean over pairs needs at least 2 images, not {min(n, len(reference))}")
        own = reference.once("mean of pairs", lambda: _mean_of_pairs(reference))
        near = cross_means(generated.features, reference.features)
        rows, squares = pair_sums(generated.features, near - own / 2)
        value = float(rows.sum()) / pairs
        rows, squares = rows - value * (n - 1), max(squares - value**2 * pairs, 0.0)
        variance = (4 * max(float(rows @ rows) - squares, 0.0) + 2 * squares) / pairs**2
        influence = torch.from_numpy(2 * rows / (n - 1)).float()
        second = _second_order(generated.features, near - own / 2, rows / (n - 1), value)
        return Measured(value, variance**0.5 if n >= 4 else None, influence, torch.from_numpy(second).float())


def _second_order(x: Features, shift: Array, first: Array, value: float) -> Array:
    """``2 (h_ij - h_i - h_j + h)`` for each image i and its predecessor j in ``shuffled`` order, float64 ``[n]``."""
    order = shuffled(len(x))
    before = np.empty_like(order)
    before[order] = np.roll(order, 1)
    base = np.concatenate([(float64(x[i]) * float64(x[before[i]])).sum(1) for i in _blocks(len(x))]) / x.shape[1] + 1
    alone = shift + first
    return np.asarray(2 * (base**3 - value - alone - alone[before]))


def _mean_of_pairs(reference: Sample) -> float:
    m = len(reference)
    rows, _ = pair_sums(reference.features, np.zeros(m))
    return float(rows.sum()) / (m * (m - 1))


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
