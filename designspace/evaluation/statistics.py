"""Reference statistics in npz files, which clean-fid, pytorch-fid, EDM and ADM publish instead of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from designspace.data.archives import Header, arrays, headers
from designspace.errors import DataError
from designspace.evaluation.measure import Sample, Summary
from designspace.evaluation.moments import Moments, float64
from designspace.storage.files import file_hash

MOMENTS = ("mu", "sigma")
FEATURES = "feats"
COUNT = "n"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Statistics:
    """The content of a file of statistics."""

    sample: Sample
    images: int | None
    """The number of images, if known."""
    d: int
    """The dimension of the features."""
    taken: tuple[str, ...]
    """The names of the arrays that were used."""
    left: tuple[str, ...]
    """The names of the other arrays."""


def read_statistics(path: Path, images: int | None = None) -> Statistics:
    """Read the features ``feats [n, d]`` or, if absent, the mean ``mu [d]`` and covariance ``sigma [d, d]`` of an npz.

    Other arrays, such as the images and spatial features in ADM's files, are ignored. The number of images is that of
    ``feats``, the array ``n``, or the argument ``images``. Raises ``DataError`` if the file is damaged or lacks these
    arrays, and if its content is invalid: wrong shapes, NaN, a matrix that is not a covariance, features that are all
    equal, or a number of images other than ``images``.
    """
    return _read(path, file_hash(path), images)


@lru_cache(maxsize=1)  # each trial asks for it
def _read(path: Path, sha256: str, images: int | None) -> Statistics:
    found, names = _arrays(path)
    try:
        said = _said(found.get(COUNT))
        sample = (
            _features(found[FEATURES], said) if FEATURES in found else _moments(found, images if said is None else said)
        )
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    n, d = (len(sample), sample.features.shape[1]) if FEATURES in found else (sample.moments.n, sample.moments.d)
    if images is not None and images != n:
        raise DataError(f"{path}: the file describes {n} images, not {images}")
    return Statistics(sample, n, d, tuple(found), tuple(name for name in names if name not in found))


def has_statistics(path: Path) -> bool:
    """Whether the file is an npz with statistics. Raises ``DataError`` if it cannot be read."""
    return bool(_used(headers(path)))


def _arrays(path: Path) -> tuple[Arrays, list[str]]:
    """The arrays that are used, and the names of all. Others, such as ADM's gigabytes of images, are not loaded."""
    known = headers(path)
    if not (used := _used(known)):
        has = ", ".join(known) or "none"
        raise DataError(
            f"{path}: has neither the arrays mu and sigma nor feats, but {has}. For images, use the data set npz"
        )
    return arrays(path, used), list(known)


def _used(known: Mapping[str, Header]) -> list[str]:
    wanted = (FEATURES,) if FEATURES in known else MOMENTS if set(MOMENTS) <= set(known) else ()
    return [*wanted, *([COUNT] if wanted and COUNT in known else [])]


def _said(n: NDArray[Any] | None) -> int | None:
    if n is not None and (n.size != 1 or n.dtype.kind not in "iu"):
        raise ValueError(f"n, the number of images, must be one integer, not {n.dtype} {list(n.shape)}")
    return None if n is None else int(n.item())


def _features(features: NDArray[Any], said: int | None) -> Sample:
    _numbers(FEATURES, features)
    x = float64(features)
    if len(x) < 2:
        raise ValueError(f"feats has {len(x)} images; a reference needs at least 2")
    if said is not None and said != len(x):
        raise ValueError(f"feats has {len(x)} images, and n says {said}")
    return Sample(torch.from_numpy(x).float())


def _moments(arrays: Arrays, images: int | None) -> Summary:
    mu, sigma = (np.asarray(arrays[name]) for name in MOMENTS)
    for name, array in (("mu", mu), ("sigma", sigma)):
        _numbers(name, array)
    if mu.ndim != 1 or not mu.size or sigma.shape != (mu.size, mu.size):
        raise ValueError(f"mu has shape {list(mu.shape)} and sigma {list(sigma.shape)}, not [d] and [d, d]")
    moments = Moments(images, torch.from_numpy(mu), torch.from_numpy(sigma))
    if moments.flaw:
        raise ValueError(moments.flaw)
    return Summary(moments)


def _numbers(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must have a floating-point dtype, not {array.dtype}")
