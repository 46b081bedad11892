"""Images in memory, and the one way from samples to pixels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import torch
from torch import Tensor

NAMED = 10
"""Images that a message names by number."""
MOST_CLASSES = 100_000
"""More are taken for a mistake: class numbers that are something else."""


UINT8 = "uint8: 127.5 x + 128, clipped to 0..255, truncated"
"""What ``to_uint8`` does, in the words of a protocol."""


class DataError(Exception):
    """A file that is missing, unreadable or not what it should be; the message names it and says what to do."""


class NotFiniteError(FloatingPointError):
    """Samples that are not finite; ``images`` are the numbers of all, the message names the first."""

    def __init__(self, images: Sequence[int], of: range) -> None:
        self.images = list(images)
        super().__init__(
            f"{len(images)} of the images {of.start} to {of.stop - 1} are not finite ({first_of(images)}): the sampler "
            "diverged; the others alone would give another distance, so there is none"
        )


def first_of(images: Sequence[int]) -> str:
    """``3, 17, 40, ...``: the numbers of some images, for a message."""
    return ", ".join(map(str, images[:NAMED])) + (", ..." if len(images) > NAMED else "")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the operating system says against reading ``path`` into a ``DataError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"there is no {path.absolute()}: check the path") from error
    except OSError as error:
        raise DataError(f"cannot read {path.absolute()}: {error.strerror or error}") from error


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes, read once a process while the file's time and size stay. Raises ``DataError``."""
    with reading(path):
        stat = path.stat()
        return _file_hash(path.absolute(), stat.st_mtime_ns, stat.st_size)


@cache
def _file_hash(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Images:
    """A data set."""

    pixels: Tensor
    """uint8 ``[N, C, H, W]``."""
    labels: Tensor | None = None
    """The class of each image, int64 ``[N]``, if there are classes."""
    classes: tuple[str, ...] = ()
    """The name of each class."""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(C, H, W)``."""
        return tuple(self.pixels.shape[1:])

    @cached_property
    def std(self) -> float:
        """The standard deviation of all values of ``scaled()`` about their mean: EDM's sigma_data. Exact."""
        counts: list[int] = torch.bincount(self.pixels.flatten(), minlength=256).tolist()
        n, total = sum(counts), sum(k * count for k, count in enumerate(counts))
        squares = sum(k * k * count for k, count in enumerate(counts))
        return math.sqrt(n * squares - total**2) / n / 127.5  # integers up to here: the same on every machine

    @cached_property
    def content_hash(self) -> str:
        """sha256 of shape, pixels and labels."""
        digest = hashlib.sha256(str(tuple(self.pixels.shape)).encode())
        digest.update(self.pixels.contiguous().numpy().data)
        if self.labels is not None:
            digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()

    def scaled(self) -> Tensor:
        """The images in [-1, 1] as networks see them, float32: pixels / 127.5 - 1."""
        return self.pixels.float() / 127.5 - 1


def to_uint8(x: Tensor) -> Tensor:
    """Samples to pixels by the EDM paper's rule: ``(x * 127.5 + 128)``, clipped to 0..255, truncated."""
    return (x * 127.5 + 128).clip(0, 255).to(torch.uint8)


def numbered_classes(labels: Tensor, count: int, where: str) -> tuple[str, ...]:
    """The names "0", "1", ... of classes known by number. Raises ``DataError`` unless labels fit ``count`` images."""
    if labels.shape != (count,):
        raise DataError(f"{where}: labels of shape {list(labels.shape)} for {count} images; one class number an image")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MOST_CLASSES:
        raise DataError(f"{where}: labels from {low} to {high}; class numbers are 0, 1, 2, ... below {MOST_CLASSES}")
    return tuple(map(str, range(high + 1)))
