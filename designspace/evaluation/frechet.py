r"""The squared Fréchet distance of two Gaussians and the influence of each image on it.

With means m, covariances C, and any root of the reference's covariance, :math:`C_r = B B^\top`,

.. math:: d^2 = |m - m_r|^2 + \operatorname{tr} C + \operatorname{tr} C_r - 2 \operatorname{tr} (B^\top C B)^{1/2}

Dowson and Landau (1982), https://doi.org/10.1016/0047-259X(82)90077-X. The matrix under the root is symmetric and
positive semi-definite, so its eigenvalues give a real and finite trace; a root of the product of the covariances need
not exist in floating point.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from designspace.evaluation.moments import Array, Features, Moments, check_widths, float64

COLUMNS = 256
"""The number of columns of a triangular matrix that are multiplied at a time."""


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

    T is the optimal transport map to the reference. For a fixed reference, the standard error of the distance is about
    std(IF) / sqrt(n), and that of the difference between two trials on the same latents is std(IF_a - IF_b) / sqrt(n).
    Both count the variance from pairs of images twice, which ``results.uncertainty.standard_error`` corrects if the
    expansion to second order is known. If :math:`B^\top C B` is singular, as for n <= d, its pseudo-inverse takes the
    place of the inverse: all images lie in its range. Hampel (1974), https://doi.org/10.1080/01621459.1974.10482962.
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
