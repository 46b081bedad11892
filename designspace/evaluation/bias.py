r"""The Fréchet distance without its bias: the expansion to second order in the weights of the images.

With :math:`C_r = B B^\top`, eigenvalues :math:`s_k^2` of :math:`B^\top C B` in the basis U and the whitened images
:math:`u_i = S^{-1} U^\top B^\top (x_i - m)`, the second-order influence of two images is

.. math:: \mathrm{IF}_2(i, j) = 2 \sum_k s_k u_{ik} u_{jk}
    + \sum_{kl} V_{kl} (u_{ik} u_{il} - \delta_{kl}) (u_{jk} u_{jl} - \delta_{kl}), \quad
    V_{kl} = \frac{s_k s_l}{s_k + s_l}

Pairs (i, i) give the bias, pairs of different images a part of the variance, and neither supposes that the features are
Gaussian. Von Mises (1947), https://doi.org/10.1214/aoms/1177730385; V is the second derivative of the
trace of the root, by divided differences: Bhatia (1997), Matrix Analysis, https://doi.org/10.1007/978-1-4612-0653-8.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from designspace.evaluation.frechet import eigen_inner
from designspace.evaluation.moments import BLOCK, Array, Features, Moments, float64
from designspace.sampling.noise import generator

LEAST = 3
"""Images for each dimension: below, halves have too few to span it."""


def bias_corrected(features: Features, reference: Moments, se: float) -> dict[str, float]:
    r"""An estimate of the distance that infinitely many images would have, with its standard error.

    .. math:: \frac{4\, c(x) - \tfrac12 (c(x') + c(x''))}{3}, \quad c = d^2 - \frac1n \left(\operatorname{tr} C
        + \frac{1}{2n} \sum_i \sum_{kl} V_{kl} u_{ik}^2 u_{il}^2 - \frac14 \sum_k s_k \right)

    c is without the term in 1 / n; the random halves x', x'' take away that in 1 / n^2 (Richardson's extrapolation).
    It may be negative. ``se`` is that of the distance: its square counts the pairs of images twice, as a jackknife does
    (Efron and Stein 1981, https://doi.org/10.1214/aos/1176345462), and the halves add a ninth of their variance.

    ``features [n, d]``. Empty for n < 3 d: there the distance has no expansion that halves could show.
    """
    n, d = features.shape
    if n < LEAST * max(d, 2):
        return {}
    x = float64(features)[generator("halves", n).permutation(n)]
    whole = Expansion(x, reference)
    halves = [Expansion(half, reference).corrected() for half in (x[: n // 2], x[n // 2 :])]
    value = (4 * whole.corrected() - sum(halves) / 2) / 3
    pairs = whole.variance_of_pairs()
    variance = max(se**2 - 2 * pairs, 0) + 10 / 9 * pairs
    return {"bias_corrected": value, "bias_corrected_se": variance**0.5}


class Expansion:
    """The distance of ``x [n, d]``, n > d, from the reference, with its second derivative."""

    def __init__(self, x: Array, reference: Moments) -> None:
        own = Moments.of(x)
        squares, vectors = eigen_inner(own, reference)
        self.x, self.mean, self.trace = x, own.mean.numpy(), own.trace
        self.s = np.sqrt(squares)
        self.whiten: Array = reference.root.numpy() @ (vectors / self.s)
        self.V: Array = self.s[:, None] * self.s / (self.s[:, None] + self.s)
        gap = own.mean - reference.mean
        self.value = float(gap @ gap) + reference.trace + self.trace - 2 * float(self.s.sum())

    def corrected(self) -> float:
        """The distance less its bias of order 1 / n."""
        n = len(self.x)
        fourth = sum(float(np.vdot(q @ self.V, q)) for q in map(np.square, self._whitened())) / n
        return self.value - (self.trace + (fourth - float(self.s.sum()) / 2) / 2) / n

    def variance_of_pairs(self) -> float:
        """The mean over different images of IF_2(i, j)^2, over 2 n^2; from n pairs, for the order of x is random."""
        total = 0.0
        for u in self._whitened():
            v = np.roll(u, 1, 0)
            w = u * v
            diagonal = (np.square(u) + np.square(v) - 1) @ self.s / 2
            total += float(np.square(((w @ self.V) * w).sum(1) + 2 * w @ self.s - diagonal).sum())
        return total / (2 * len(self.x) ** 3)

    def _whitened(self) -> Iterator[Array]:
        for rows in np.array_split(self.x, -(-len(self.x) // BLOCK)):
            yield (rows - self.mean) @ self.whiten
