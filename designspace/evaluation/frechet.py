r"""The squared Fréchet distance of two Gaussians, the influence of each image on it, and its bias.

With means m, covariances C, and any root of the reference's covariance, :math:`C_r = B B^\top`,

.. math:: d^2 = |m - m_r|^2 + \operatorname{tr} C + \operatorname{tr} C_r - 2 \operatorname{tr} (B^\top C B)^{1/2}

Dowson and Landau (1982), https://doi.org/10.1016/0047-259X(82)90077-X. The matrix under the root is symmetric and
positive semi-definite, so its eigenvalues give a real and finite trace; a root of the product of the covariances need
not exist in floating point.

The expansion of the distance to second order in the weights of the images gives its bias. With the eigenvalues
:math:`s_k^2` and eigenvectors U of :math:`B^\top C B` and the whitened images
:math:`u_i = S^{-1} U^\top B^\top (x_i - m)`, the second-order influence of two images is

.. math:: \mathrm{IF}_2(i, j) = 2 \sum_k s_k u_{ik} u_{jk}
    + \sum_{kl} V_{kl} (u_{ik} u_{il} - \delta_{kl}) (u_{jk} u_{jl} - \delta_{kl}), \quad
    V_{kl} = \frac{s_k s_l}{s_k + s_l}

The pairs (i, i) give the bias and the pairs of different images a part of the variance; neither assumes that the
features are Gaussian. Von Mises (1947), https://doi.org/10.1214/aoms/1177730385. V is the second derivative of the
trace of the root by divided differences: Bhatia (1997), Matrix Analysis, https://doi.org/10.1007/978-1-4612-0653-8.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from designspace.evaluation.moments import BLOCK as ROWS
from designspace.evaluation.moments import Array, Features, Moments, check_widths, float64
from designspace.sampling.noise import generator

COLUMNS = 256
"""The number of columns of a triangular matrix that are multiplied at a time."""
LEAST = 3
"""The number of images per dimension below which the bias is not corrected, because random halves of the images would
hardly span the feature space."""


def frechet(a: Moments, b: Moments) -> float:
    """The squared Fréchet distance of ``a`` from the reference ``b``, in squared units of the features, at least 0.

    ``b`` caches the root of its covariance, which makes further distances from the same reference cheaper. Raises
    ``ValueError`` if the dimensions differ.
    """
    check_widths(a.d, b.d)
    gap = a.mean - b.mean
    return max(0.0, float(gap @ gap) + a.trace + b.trace - 2 * _trace_of_root(_inner(a, b)))


def influence(features: Features, reference: Moments) -> Tensor:
    r"""The influence of each image on the distance of ``features [n, d]`` from ``reference``: float64 ``[n]``, centred.

    .. math:: IF_i = 2 (m - m_r)^\top c_i + c_i^\top (I - T) c_i, \quad c_i = x_i - m, \quad
        T = B (B^\top C B)^{-1/2} B^\top

    T is the optimal transport map to the reference. For a fixed reference, the standard error of the distance is
    std(IF) / sqrt(n), and that of the difference between two trials on the same latents is std(IF_a - IF_b) / sqrt(n).
    If :math:`B^\top C B` is singular, as for n <= d, its pseudo-inverse takes the place of the inverse: all images lie
    in its range. Hampel (1974), https://doi.org/10.1080/01621459.1974.10482962.

    The ratio of this standard error to the true one was measured for Gaussians and EfficientNet features with 64 and
    320 dimensions and n >= 10 d. For one distance it is 0.95 to 1.36, larger the closer the images are to the
    reference, and 1.41 to 1.49 for images as good as the reference. For a difference it is 0.98 to 1.12, and 1.09 to
    1.17 for images as good as the reference. reports/error_bar_calibration shows the coverage of the intervals.
    """
    x, root = float64(features), reference.root.numpy()
    n = len(x)
    if n < 2:
        raise ValueError(f"a covariance needs at least 2 images, not {n}")
    check_widths(x.shape[1], reference.d)
    mean = x.mean(0)
    x = x - mean
    transported = (n - 1) * _leverage(_times(x, root) / (n - 1) ** 0.5)
    values = 2 * x @ (mean - reference.mean.numpy()) + (x * x).sum(1) - transported
    return torch.from_numpy(values - values.mean())


def _trace_of_root(M: Array) -> float:
    values = np.linalg.eigvalsh(M)
    noise = -2 * values.min(initial=0)  # rounding turns zeros into numbers of either sign and similar size
    return float(np.sqrt(values[values > noise]).sum())


def _inner(a: Moments, b: Moments) -> Array:
    """A smallest symmetric matrix with the positive eigenvalues of ``B' C B``; only its lower triangle is valid."""
    root = b.root.numpy()
    if a.factor is not None or b.factor is not None:
        product = _times(a.root.numpy().T, root)
        R = np.asarray(np.linalg.qr(product if product.shape[0] > product.shape[1] else product.T, mode="r"))
        return np.asarray(R @ R.T)  # the rows of R decrease like the singular values, so squaring them loses no digits
    return _sandwich(root, a.cov.numpy())


def eigen_inner(a: Moments, b: Moments) -> tuple[Array, Array]:
    """The positive eigenvalues ``[k]`` of ``B' C B`` with the root B of ``b``, and their eigenvectors ``[., k]``."""
    squares, vectors = np.linalg.eigh(_sandwich(b.root.numpy(), a.cov.numpy()))
    keep = squares > max(a.n or 0, a.d) * np.finfo(float).eps * squares.max(initial=0)
    return squares[keep], vectors[:, keep]


def _times(x: Array, root: Array) -> Array:
    """``x B``, in half the time of a full product if B is lower triangular."""
    if root.shape[1] < root.shape[0]:
        return np.asarray(x @ root)
    starts = range(0, len(root), COLUMNS)
    return np.concatenate([x[:, j:] @ root[j:, j : j + COLUMNS] for j in starts], 1)


def _sandwich(root: Array, cov: Array) -> Array:
    """The lower triangle of ``B' C B``, in a third of the time of full products if B is lower triangular."""
    if root.shape[1] < root.shape[0]:
        return np.asarray(root.T @ cov @ root)
    out = np.zeros_like(cov)
    for j in range(0, len(cov), COLUMNS):
        columns = slice(j, j + COLUMNS)
        out[j:, columns] = root[j:, j:].T @ (cov[j:, j:] @ root[j:, columns])
    return out


def _leverage(P: Array) -> Array:
    """The diagonal of ``(P P')^(1/2)`` for P ``[n, k]``, from the smaller of its two Gram matrices."""
    n, k = P.shape
    squares, vectors = np.linalg.eigh(P @ P.T if n <= k else P.T @ P)
    keep = squares > max(n, k) * np.finfo(float).eps * squares.max(initial=0)
    squares, vectors = squares[keep], vectors[:, keep]
    if n <= k:
        return np.asarray(np.square(vectors) @ np.sqrt(squares))
    return np.asarray(np.square(P @ vectors) @ (1 / np.sqrt(squares)))


def bias_corrected(features: Features, reference: Moments, se: float) -> dict[str, float]:
    r"""An estimate of the distance that infinitely many images would have, with its standard error.

    .. math:: \frac{4\, c(x) - \tfrac12 (c(x') + c(x''))}{3}, \quad c = d^2 - \frac1n \left(\operatorname{tr} C
        + \frac{1}{2n} \sum_i \sum_{kl} V_{kl} u_{ik}^2 u_{il}^2 - \frac14 \sum_k s_k \right)

    c lacks the term in 1 / n; Richardson extrapolation with the random halves x' and x'' removes the term in 1 / n^2.
    The estimate may be negative. ``se`` is the standard error of the distance itself. Like a jackknife, its square
    counts the variance from pairs of images twice (Efron and Stein 1981, https://doi.org/10.1214/aos/1176345462); here
    it counts once, plus a ninth for the halves.

    ``features`` is ``[n, d]``. The result is empty for n < 3 d, where halves carry no information on the expansion.
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
    """The expansion of the distance of ``x [n, d]``, n > d, from the reference to second order."""

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
        """The distance without its bias of order 1 / n."""
        n = len(self.x)
        fourth = sum(float(np.vdot(q @ self.V, q)) for q in map(np.square, self._whitened())) / n
        return self.value - (self.trace + (fourth - float(self.s.sum()) / 2) / 2) / n

    def variance_of_pairs(self) -> float:
        """The mean of IF_2(i, j)^2 over pairs of different images, divided by 2 n^2.

        It is estimated from the n pairs of neighbours in x, whose order is random.
        """
        total = 0.0
        for u in self._whitened():
            v = np.roll(u, 1, 0)
            w = u * v
            diagonal = (np.square(u) + np.square(v) - 1) @ self.s / 2
            total += float(np.square(((w @ self.V) * w).sum(1) + 2 * w @ self.s - diagonal).sum())
        return total / (2 * len(self.x) ** 3)

    def _whitened(self) -> Iterator[Array]:
        for rows in np.array_split(self.x, -(-len(self.x) // ROWS)):
            yield (rows - self.mean) @ self.whiten
