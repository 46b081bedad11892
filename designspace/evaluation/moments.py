"""Mean and covariance of features: all that a Fréchet distance needs to know of them."""

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

BLOCK = 4096
"""Rows that are in float64 at once."""


class Moments:
    r"""Mean and covariance of ``n`` features, in float64 on the CPU; never changed.

    They merge: ``a + b`` are the moments of both sets together (Chan, Golub and LeVeque 1983,
    https://doi.org/10.1080/00031305.1983.10483115). A file's mu and sigma make one as well: ``Moments(n, mu, sigma)``.
    Raises ``ValueError`` for fewer than 2 features, for shapes that do not fit, and for NaN or infinity.

    Args:
        n: The number of features; ``None`` where a file does not say of how many it holds the moments.
        mean: ``[d]``.
        cov: ``[d, d]``, with n - 1 in the denominator; may be left out if there is a factor.
        factor: ``[n - 1, d]`` with cov = factor' factor, where n <= d: distances are then quicker and more exact.
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
            raise ValueError(f"a covariance takes at least 2 images, not {n}")

    def _check(self, name: str, value: Tensor, shape: str) -> None:
        if value.shape != (self.d,) * shape.count("d"):
            raise ValueError(f"the {name} of {self.d} features is {shape}, not of shape {list(value.shape)}")
        if not value.isfinite().all():
            raise ValueError(f"the {name} of the features is not finite (NaN or infinity)")

    @cached_property
    def cov(self) -> Tensor:
        """float64 ``[d, d]``."""
        assert self.factor is not None
        return self.factor.mT @ self.factor

    @property
    def trace(self) -> float:
        """Of the covariance."""
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
        """The moments of features that come in chunks ``[any, d]``, in memory for one chunk and O(d^2)."""
        n, shift, total, scatter = 0, np.zeros(0), np.zeros(0), np.zeros((0, 0))
        for chunk in chunks:
            x = float64(chunk)
            if len(x) == 0:
                continue
            if n == 0:  # a shift near the mean: sums of squares that cancel lose digits
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
        """The number of dimensions."""
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
    def root(self) -> Tensor:
        """float64 ``[d, k]`` with cov = root root': lower triangular where k = d, of the covariance's rank else."""
        if self.factor is not None:
            return self.factor.mT
        cholesky: Tensor
        cholesky, failed = torch.linalg.cholesky_ex(self.cov)
        if not failed:
            return cholesky
        values, vectors = np.linalg.eigh(self.cov.numpy())
        keep = values > self.d * np.finfo(float).eps * values[-1]
        keep[0] = False  # singular, or Cholesky had succeeded
        return torch.from_numpy(vectors[:, keep] * np.sqrt(values[keep]))


def _float64(value: Features) -> Tensor:
    return torch.as_tensor(value).detach().to("cpu", torch.float64)


def centred_factor(x: Array) -> Array:
    """Rows ``[n - 1, d]`` whose scatter is the covariance of the centred rows ``x``: a reflection empties the first."""
    n = len(x)
    rows: Array = (x[1:] + x[0] / (n**0.5 - 1)) / (n - 1) ** 0.5
    return rows


def table(features: Features) -> tuple[int, int]:
    """(n, d). Raises ``ValueError`` if ``features`` is no table."""
    if features.ndim != 2:
        raise ValueError(f"features are a table [n, d], not of shape {list(features.shape)}")
    return features.shape[0], features.shape[1]


def float64(features: Features) -> Array:
    """``features [n, d]`` in float64. Raises ``ValueError`` if any is NaN or infinite."""
    n, _ = table(features)
    if isinstance(features, Tensor):
        features = features.detach().to("cpu", torch.float64).numpy()
    x = np.asarray(features, np.float64)
    if bad := n - int(np.isfinite(x).all(1).sum()):
        raise ValueError(f"{bad} of {n} images have features that are not finite (NaN or infinity)")
    return x


def check_widths(d: int, other: int) -> None:
    """Raises ``ValueError`` unless features of these dimensions can be compared."""
    if d != other:
        raise ValueError(f"features of {d} and of {other} dimensions: they must come from the same detector")
