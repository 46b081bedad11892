r"""The expansion of the Fréchet distance to second order in the weights of the images: its bias, error and skew.

With the eigenvalues :math:`s_k^2` and eigenvectors U of :math:`B^\top C B` (see ``evaluation.frechet``) and the
whitened images :math:`u_i = S^{-1} U^\top B^\top (x_i - m)`, the second-order influence of two images is

.. math:: \mathrm{IF}_2(i, j) = 2 \sum_k s_k u_{ik} u_{jk}
    + \sum_{kl} V_{kl} (u_{ik} u_{il} - \delta_{kl}) (u_{jk} u_{jl} - \delta_{kl}), \quad
    V_{kl} = \frac{s_k s_l}{s_k + s_l}

The pairs (i, i) give the bias, those of different images a part of the variance, and the pairs weighted by first-order
influences the skew; none of them assumes that the features are Gaussian. Von Mises (1947),
https://doi.org/10.1214/aoms/1177730385. V is the second derivative of the trace of the root by divided differences:
Bhatia (1997), Matrix Analysis, https://doi.org/10.1007/978-1-4612-0653-8. The distance is symmetric in its two sets, so
the reference has the same expansion with :math:`v_j = S^{-2} U^\top B^\top C (y_j - m_r)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from designspace.evaluation.frechet import eigen_inner
from designspace.evaluation.measure import Measured, PartlyKnown, Sample, Summary, shuffled
from designspace.evaluation.moments import BLOCK as ROWS
from designspace.evaluation.moments import Array, Features, Moments, float64
from designspace.results.uncertainty import Z, counted_once, effective_images, standard_error, suffices

ENOUGH = 5000
"""The number of images of the reference from which the variance due to their choice is estimated."""


def expanded(value: float, generated: Sample, reference: Sample) -> Measured:
    r"""A Fréchet distance with everything that the expansion tells; ``suffices`` holds for the generated images.

    The distance without bias is

    .. math:: \frac{4\, c(x, y) - \tfrac12 (c(x', y') + c(x'', y''))}{3}

    where c lacks the bias of first order, in 1 / n and 1 / m, and Richardson extrapolation from the random halves x',
    x'' and y', y'' removes that of second order. ``bias_corrected`` does so for the generated images alone, with
    y' = y'' = y and no term in 1 / m, and ``both_corrected`` for the reference as well, if its features are known and
    suffice. Both may be negative. Extrapolation adds a ninth of the variance of pairs to the squared standard error.

    ``effective_images`` is the smaller of two numbers: that of the generated images, and n times the effective fraction
    of the reference's images. The former alone would be large for draws that lack the rare images on which the standard
    error rests, which are those with intervals that are too narrow. It is all there is if only moments are known.
    """
    x, y = generated.features, reference.moments
    whole = Expansion(generated.moments, y)
    own, order = whole.generated(x), shuffled(len(x))
    effect, pairs = np.empty(len(x)), np.empty(len(x))
    effect[order], pairs[order] = own.second_order(len(x))
    effect -= effect.mean()
    se = standard_error(effect, pairs)
    halves = [(half, Moments.of(half)) for half in _halves(x)]
    once = [value - own.bias(), *(_corrected(Expansion(m, y), half) for half, m in halves)]
    extra = {"bias_corrected": _extrapolated(once), "bias_corrected_se": (se**2 + _of_pairs(pairs) / 9) ** 0.5}
    extra |= {"skew": own.skew(effect)}
    effective = effective_images(effect)
    if not isinstance(reference, Summary | PartlyKnown) and suffices(len(reference), y.d):
        other = whole.reference(reference.features)
        both = [once[0] - other.bias(), *_halves_of_both(halves, reference)]
        theirs, second = other.second_order(min(ENOUGH, len(reference)))
        se_of_both = _se_of_both(effect, pairs, theirs, second, len(reference))
        extra |= {"both_corrected": _extrapolated(both), "both_corrected_se": se_of_both}
        effective = min(effective, len(x) * effective_images(theirs - theirs.mean()) / len(theirs))
    extra |= {} if math.isnan(effective) else {"effective_images": effective}
    return Measured(value, se, torch.from_numpy(effect).float(), torch.from_numpy(pairs).float(), extra=extra)


def _corrected(expansion: Expansion, x: Features, y: Features | None = None) -> float:
    """The distance without its bias of first order, that of the reference only if its images ``y`` are given."""
    found = expansion.value - expansion.generated(x).bias()
    return found if y is None else found - expansion.reference(y).bias()


def _halves_of_both(halves: list[tuple[Features, Moments]], reference: Sample) -> Iterator[float]:
    """The distances of halves from halves of the reference, whose moments are computed once."""
    y = _halves(reference.features)
    known = reference.once("moments of the halves", lambda: [Moments.of(part) for part in y])
    for (half, own), part, of in zip(halves, y, known, strict=True):
        yield _corrected(Expansion(own, of), half, part)


def _extrapolated(found: list[float]) -> float:
    whole, *halves = found
    return (4 * whole - sum(halves) / 2) / 3


def _of_pairs(pairs: Array) -> float:
    """The variance from pairs of n images."""
    return float(np.square(pairs).mean()) / (2 * len(pairs) ** 2)


def _se_of_both(effect: Array, pairs: Array, theirs: Array, second: Array, m: int) -> float:
    """The standard error without bias of both sides, for random choices of generated and of reference images.

    ``theirs`` and ``second`` are the influences of some of the m images of the reference and of their pairs. Pairs of
    one image of each set are taken to vary like those within the sets; for equal distributions they do.
    """
    n = len(effect)
    first = float(effect.var(ddof=1)) / n + float(theirs.var(ddof=1)) / m
    root = float(np.square(pairs).mean() / 2) ** 0.5 / n + float(np.square(second).mean() / 2) ** 0.5 / m
    return float((counted_once(first, root**2) + root**2 / 9) ** 0.5)


def _halves(x: Features) -> tuple[Features, Features]:
    order = shuffled(len(x))
    return x[order[: len(x) // 2]], x[order[len(x) // 2 :]]


class Expansion:
    """The expansion of the distance of generated images from a reference, from the moments of both."""

    def __init__(self, own: Moments, reference: Moments) -> None:
        squares, vectors = eigen_inner(own, reference)
        self.own, self.other = own, reference
        self.s = np.sqrt(squares)
        self.gap: Array = (own.mean - reference.mean).numpy()
        self.whiten: Array = reference.root.numpy() @ (vectors / self.s)
        self.value = float(self.gap @ self.gap) + reference.trace + own.trace - 2 * float(self.s.sum())

    def generated(self, x: Features) -> Side:
        """The side of the generated images ``x [n, d]``."""
        return Side(x, self.own, self.gap, self.whiten, self.s)

    def reference(self, y: Features) -> Side:
        """The side of the images of the reference, ``y [m, d]``."""
        return Side(y, self.other, -self.gap, self.own.cov.numpy() @ self.whiten / self.s, self.s)


@dataclass(frozen=True)
class Side:
    """One of the two sets of images, whose weights may change while the other set stays as it is."""

    x: Features
    moments: Moments
    gap: Array
    """The difference from the other set's mean, ``[d]``."""
    whiten: Array
    """The matrix that whitens centred images, ``[d, k]``."""
    s: Array
    """The singular values of the product of both roots, ``[k]``."""

    @cached_property
    def V(self) -> Array:
        """The second derivative of the trace of the root, ``[k, k]``."""
        return np.asarray(self.s[:, None] * self.s / (self.s[:, None] + self.s))

    def bias(self) -> float:
        """The bias of first order, which decreases as 1 / n."""
        n = len(self.x)
        gram = np.zeros_like(self.V)
        for start in range(0, n, ROWS):
            squares = np.square(self._whitened(self.x[start : start + ROWS])[1])
            gram += squares.T @ squares
        fourth = float(np.vdot(self.V, gram)) / n
        return (self.moments.trace + (fourth - float(self.s.sum()) / 2) / 2) / n

    def second_order(self, count: int) -> tuple[Array, Array]:
        """The influences of the first ``count`` images in ``shuffled`` order, not centred, and those of their pairs."""
        order, effects, pairs = shuffled(len(self.x)), np.empty(count), np.empty(count)
        for start in range(0, count, ROWS):
            block = slice(start, min(start + ROWS, count))
            c, u = self._whitened(self.x[order[np.arange(start - 1, block.stop)]])  # -1: the first follows the last
            squares, w = np.square(u) @ self.s, u[1:] * u[:-1]
            effects[block] = (2 * c @ self.gap + np.square(c).sum(1) - squares)[1:]
            diagonal = (squares[1:] + squares[:-1] - self.s.sum()) / 2
            pairs[block] = ((w @ self.V) * w).sum(1) + 2 * w @ self.s - diagonal
        return effects, pairs

    def skew(self, effect: Array) -> float:
        r"""The distance by which the middle of the 95 % interval lies above the value; ``effect`` is centred.

        With :math:`a_i = \mathrm{IF}_i` and z = 1.96, it is

        .. math:: \frac{\frac{2 z^2 + 1}{6} \overline{a_i^3} + \frac{z^2 + 1}{2} \overline{a_i a_j \mathrm{IF}_2(i, j)}}
            {n\, \overline{a_i^2}}

        The first term is that for the mean of skewed numbers: Johnson (1978), Modified t tests and confidence intervals
        for asymmetrical populations, Journal of the American Statistical Association 73. The second follows in the same
        way for sums of squares: the slope of the squared error in the value, less the skewness of the value itself.
        Hall (1992), The Bootstrap and Edgeworth Expansion, https://doi.org/10.1007/978-1-4612-4384-7.
        """
        n, square = len(effect), float(np.square(effect).mean())
        if square == 0:
            return 0.0
        mean, moment = np.zeros_like(self.s), np.zeros_like(self.V)
        for start in range(0, n, ROWS):
            u = self._whitened(self.x[start : start + ROWS])[1]
            weighted = u * effect[start : start + ROWS, None]
            mean, moment = mean + weighted.sum(0) / n, moment + weighted.T @ u / n
        slope = 2 * float(np.square(mean) @ self.s) + float(np.vdot(self.V, np.square(moment)))
        cubes = float(np.power(effect, 3).mean())
        return ((2 * Z**2 + 1) / 6 * cubes + (Z**2 + 1) / 2 * slope) / (n * square)

    def _whitened(self, rows: Features) -> tuple[Array, Array]:
        """The centred and the whitened rows."""
        c = float64(rows) - self.moments.mean.numpy()
        return c, c @ self.whiten
