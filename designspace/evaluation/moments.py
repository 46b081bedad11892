"""Mean and covariance of features, which determine their Fréchet distance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Features = Tensor | NDArray[Any]

TOLERANCE = 1e-3
"""The tolerance, relative to the largest variance, for a matrix to count as a covariance; some files hold float32."""
BLOCK = 4096
"""The number of rows that are converted to float64 at a time."""


class Moments:
    """Mean and covariance of ``n`` feature vectors, in float64 on the CPU; immutable.

    ``a + b`` gives the moments of the union of two sets (Chan, Golub and LeVeque 1983,
    https://doi.org/10.1080/00031305.1983.10483115). Precomputed statistics can be used as ``Moments(n, mu, sigma)``.
    Raises ``ValueError`` for fewer than 2 vectors, for shapes that do not match, and for NaN or infinity.

    Args:
        n: The number of feature vectors; ``None`` if it is not known, as for some files of statistics.
        mean: ``[d]``.
        cov: ``[d, d]``, with n - 1 in the denominator; optional if ``factor`` is given.
        factor: ``[n - 1, d]`` with cov = factor' factor, for n <= d; makes distances faster and more accurate.
    """

    def __init__(
        self, n: int | None, mean: Features, cov: Features | None = None, factor: Tensor | None = None
    ) -> None:
        self.n, self.mean, self.factor = n, _float64(mean), None if factor is None else _float64(factor)
        self._check("mean", self.mean, "[d]")
        if cov is not None:
            self.cov = _float64(cov)
            self._check("cov", self.cov, "[d, d]")
        elif factor is None:
            raise ValueError("moments need a covariance or a factor of it")
        elif not math.isfinite(self.trace):
            raise ValueError("the cov of the features is not finite (NaN or infinity)")
        if n is not None and n < 2:
            raise ValueError(f"a covariance needs at least 2 images, not {n}")

    def _check(self, name: str, value: Tensor, shape: str) -> None:
        if value.shape != (self.d,) * shape.count("d"):
            raise ValueError(f"the {name} of {self.d} features must have shape {shape}, not {list(value.shape)}")
        if not value.isfinite().all():
            raise ValueError(f"the {name} of the features is not finite (NaN or infinity)")

    @cached_property
    def cov(self) -> Tensor:
        """The covariance, float64 ``[d, d]``."""
        assert self.factor is not None
        return self.factor.mT @ self.factor

    @property
    def trace(self) -> float:
        """The trace of the covariance."""
        return float(self.cov.trace() if self.factor is None else self.factor.square().sum())

    @classmethod
    def of(cls, features: Features) -> Self:
        """The moments of ``features [n, d]``, of any real dtype."""
        n, d = table(features)
        if n > d or n < 2:
            return cls.streamed(features[i : i + BLOCK] for i in range(0, n, BLOCK))
        x = float64(features)
        mean = x.mean(0)
        return cls(n, mean, factor=torch.from_numpy(centred_factor(x - mean)))

    @classmethod
    def streamed(cls, chunks: Iterable[Features]) -> Self:
        """The moments of features given in chunks ``[any, d]``; needs memory for one chunk plus O(d^2)."""
        n, shift, total, scatter = 0, np.zeros(0), np.zeros(0), np.zeros((0, 0))
        for chunk in chunks:
            x = float64(chunk)
            if len(x) == 0:
                continue
            if n == 0:  # shifting by about the mean avoids cancellation in the sums of squares
                shift, total, scatter = x.mean(0), np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
            check_widths(x.shape[1], len(shift))
            x = x - shift
            n += len(x)
            total += x.sum(0)
            scatter += x.T @ x
        cov = (scatter - np.outer(total, total / max(n, 1))) / max(n - 1, 1)
        return cls(n, torch.from_numpy(shift + total / max(n, 1)), torch.from_numpy(cov))

    @property
    def d(self) -> int:
        """The dimension of the features."""
        return self.mean.shape[-1] if self.mean.ndim else 1

    def __add__(self, other: Moments) -> Moments:
        check_widths(self.d, other.d)
        one, more = self.n, other.n
        if one is None or more is None:
            raise ValueError("moments of an unknown number of images cannot be merged")
        n, gap = one + more, other.mean - self.mean
        between = gap * (one * more / n) ** 0.5
        scatter = self.cov * (one - 1) + other.cov * (more - 1) + torch.outer(between, between)
        factor = None
        if self.factor is not None and other.factor is not None and n <= self.d:
            parts = self.factor * (one - 1) ** 0.5, other.factor * (more - 1) ** 0.5, between[None]
            factor = torch.cat(parts) / (n - 1) ** 0.5
        return Moments(n, self.mean + gap * (more / n), scatter / (n - 1), factor)

    @cached_property
    def flaw(self) -> str:
        """Why ``cov`` is not the covariance of features that differ, up to rounding; empty if it is."""
        variances, wrong = self.cov.diagonal(), "sigma is not a covariance"
        largest = float(variances.max())
        if largest <= 0:
            return "no variance in sigma is positive: the features are all equal, or it is not a covariance"
        root = variances.clamp(min=0).sqrt()
        if max((self.cov - self.cov.mT).abs().max(), (self.cov.abs() - root.outer(root)).max()) > TOLERANCE * largest:
            return f"{wrong}: it is not symmetric, or an entry exceeds what the variances allow"
        failed = torch.linalg.cholesky_ex(self.cov)[1]  # much faster than the eigenvalues
        least = float(torch.linalg.eigvalsh(self.cov)[0]) if failed else 0.0
        return f"{wrong}: it has the negative eigenvalue {least:.3g}" if least < -TOLERANCE * largest else ""

    @cached_property
    def root(self) -> Tensor:
        """A root of the covariance, float64 ``[d, k]`` with cov = root root'.

        It is lower triangular if the covariance has full rank (k = d); otherwise k is the rank.
        """
        if self.factor is not None:
            return self.factor.mT
        cholesky: Tensor
        cholesky, failed = torch.linalg.cholesky_ex(self.cov)
        if not failed:
            return cholesky
        values, vectors = np.linalg.eigh(self.cov.numpy())
        keep = values > self.d * np.finfo(float).eps * values[-1]
        keep[0] = False  # the covariance is singular, or Cholesky would have succeeded
        return torch.from_numpy(vectors[:, keep] * np.sqrt(values[keep]))


def _float64(value: Features) -> Tensor:
    return torch.as_tensor(value).detach().to("cpu", torch.float64)


def centred_factor(x: Array) -> Array:
    """A factor ``[n - 1, d]`` of the covariance of the centred rows ``x``.

    A Householder reflection maps the first row to zero, so that it can be dropped.
    """
    n = len(x)
    rows: Array = (x[1:] + x[0] / (n**0.5 - 1)) / (n - 1) ** 0.5
    return rows


def table(features: Features) -> tuple[int, int]:
    """The shape (n, d) of ``features``. Raises ``ValueError`` if it is not two-dimensional."""
    if features.ndim != 2:
        raise ValueError(f"features must have shape [n, d], not {list(features.shape)}")
    return features.shape[0], features.shape[1]


def float64(features: Features) -> Array:
    """``features [n, d]`` in float64. Raises ``ValueError`` if any value is NaN or infinite."""
    n, _ = table(features)
    if isinstance(features, Tensor):
        features = features.detach().to("cpu", torch.float64).numpy()
    x = np.asarray(features, np.float64)
    if bad := n - int(np.isfinite(x).all(1).sum()):
        raise ValueError(f"{bad} of {n} images have features that are not finite (NaN or infinity)")
    return x


def check_widths(d: int, other: int) -> None:
    """Raise ``ValueError`` unless both dimensions are equal."""
    if d != other:
        raise ValueError(
            f"features of {d} and of {other} dimensions: they must come from the same detector and shape of images"
        )
