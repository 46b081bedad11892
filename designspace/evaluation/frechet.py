r"""The Fréchet distance of two Gaussians, and how much each image has to do with it.

With means m, covariances C, and any root of the reference's covariance, :math:`C_r = B B^\top`,

.. math:: d^2 = |m - m_r|^2 + \operatorname{tr} C + \operatorname{tr} C_r - 2 \operatorname{tr} (B^\top C B)^{1/2}

Dowson and Landau (1982), https://doi.org/10.1016/0047-259X(82)90077-X. The matrix under the root is symmetric and
positive: its eigenvalues give the trace, real and finite, where a general matrix root may be neither.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from designspace.evaluation.moments import Array, Features, Moments, check_widths, float64

BLOCK = 256


def frechet(a: Moments, b: Moments) -> float:
    """The squared Fréchet distance of ``a`` from the reference ``b``, in squared units of the features; at least 0.

    ``b`` keeps the root of its covariance: measure many against one. Raises ``ValueError`` if their dimensions differ.
    """
    check_widths(a.d, b.d)
    gap = a.mean - b.mean
    return max(0.0, float(gap @ gap) + a.trace + b.trace - 2 * _trace_of_root(_inner(a, b)))


def influence(features: Features, reference: Moments) -> Tensor:
    r"""How much each image moves the distance of ``features [n, d]`` from ``reference``: float64 ``[n]``, centred.

    .. math:: IF_i = 2 (m - m_r)^\top c_i + c_i^\top (I - T) c_i, \quad c_i = x_i - m, \quad
        T = B (B^\top C B)^{-1/2} B^\top

    T is the optimal transport map to the reference. The standard error of the distance is std(IF) / sqrt(n), the
    reference taken as fixed; that of a difference of two trials on the same latents is std(IF_a - IF_b) / sqrt(n).
    A singular :math:`B^\top C B`, as for n <= d, has its pseudo-inverse: all images lie in its range.
    Hampel (1974), https://doi.org/10.1080/01621459.1974.10482962.

    Measured with 64 and 320 dimensions, n >= 10 d, Gaussians and EfficientNet's features: the error of one distance is
    0.95 to 1.36 of the truth, the more the nearer the images are to the reference, 1.41 to 1.49 where they are as good;
    that of a difference 0.98 to 1.12, and 1.09 to 1.17. How often intervals hold: reports/error_bar_calibration.
    """
    x, root = float64(features), reference.root.numpy()
    n = len(x)
    if n < 2:
        raise ValueError(f"a covariance takes at least 2 images, not {n}")
    check_widths(x.shape[1], reference.d)
    mean = x.mean(0)
    x = x - mean
    transported = (n - 1) * _leverage(_times(x, root) / (n - 1) ** 0.5)
    values = 2 * x @ (mean - reference.mean.numpy()) + (x * x).sum(1) - transported
    return torch.from_numpy(values - values.mean())


def _trace_of_root(M: Array) -> float:
    values = np.linalg.eigvalsh(M)
    noise = -2 * values.min(initial=0)  # where rounding makes zeros negative, it makes as many positive
    return float(np.sqrt(values[values > noise]).sum())


def _inner(a: Moments, b: Moments) -> Array:
    """A symmetric matrix with the positive eigenvalues of ``B' C B``, as small as can be; its lower triangle counts."""
    root = b.root.numpy()
    if a.factor is not None or b.factor is not None:
        product = _times(a.root.numpy().T, root)
        R = np.asarray(np.linalg.qr(product if product.shape[0] > product.shape[1] else product.T, mode="r"))
        return np.asarray(R @ R.T)  # its rows fall off as the singular values do: squaring them loses no digits
    return _sandwich(root, a.cov.numpy())


def eigen_inner(a: Moments, b: Moments) -> tuple[Array, Array]:
    """The positive eigenvalues ``[k]`` of ``B' C B``, B the root of ``b``, and their eigenvectors ``[., k]``."""
    squares, vectors = np.linalg.eigh(_sandwich(b.root.numpy(), a.cov.numpy()))
    keep = squares > max(a.n or 0, a.d) * np.finfo(float).eps * squares.max(initial=0)
    return squares[keep], vectors[:, keep]


def _times(x: Array, root: Array) -> Array:
    """``x B``: for lower triangular B in half the product's time."""
    if root.shape[1] < root.shape[0]:
        return np.asarray(x @ root)
    starts = range(0, len(root), BLOCK)
    return np.concatenate([x[:, j:] @ root[j:, j : j + BLOCK] for j in starts], 1)


def _sandwich(root: Array, cov: Array) -> Array:
    """The lower triangle of ``B' C B``: for lower triangular B in a third of the products' time."""
    if root.shape[1] < root.shape[0]:
        return np.asarray(root.T @ cov @ root)
    out = np.zeros_like(cov)
    for j in range(0, len(cov), BLOCK):
        columns = slice(j, j + BLOCK)
        out[j:, columns] = root[j:, j:].T @ (cov[j:, j:] @ root[j:, columns])
    return out


def _leverage(P: Array) -> Array:
    """The diagonal of ``(P P')^(1/2)`` for P ``[n, k]``: from the smaller of its two Gram matrices."""
    n, k = P.shape
    squares, vectors = np.linalg.eigh(P @ P.T if n <= k else P.T @ P)
    keep = squares > max(n, k) * np.finfo(float).eps * squares.max(initial=0)
    squares, vectors = squares[keep], vectors[:, keep]
    if n <= k:
        return np.asarray(np.square(vectors) @ np.sqrt(squares))
    return np.asarray(np.square(P @ vectors) @ (1 / np.sqrt(squares)))
