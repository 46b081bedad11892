"""Images in memory, and the conversion of samples to pixels."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from designspace.errors import DataError

MOST_CLASSES = 100_000
"""The largest number of classes; larger labels are probably not class numbers."""

UINT8 = "uint8: 127.5 x + 128, clipped to 0..255, truncated"
"""The description of ``to_uint8`` that protocols record."""


@dataclass(frozen=True)
class Images:
    """A data set of images."""

    pixels: Tensor
    """uint8 ``[N, C, H, W]``."""
    labels: Tensor | None = None
    """The class of each image, int64 ``[N]``; ``None`` without classes."""
    classes: tuple[str, ...] = ()
    """The name of each class."""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(C, H, W)``."""
        return tuple(self.pixels.shape[1:])

    @property
    def class_count(self) -> int:
        """The number of classes for which a network is built: the largest class number plus 1; 0 without classes."""
        return len(self.classes) or max(self.present, default=-1) + 1

    @cached_property
    def present(self) -> tuple[int, ...]:
        """The classes that have images, in ascending order; class numbers may have gaps."""
        return () if self.labels is None else tuple(torch.unique(self.labels).tolist())

    @cached_property
    def sigma_data(self) -> float:
        """The root mean square of all values of ``scaled()``, which is EDM's sigma_data."""
        counts: list[int] = torch.bincount(self.pixels.flatten(), minlength=256).tolist()
        squares = sum((2 * k - 255) ** 2 * count for k, count in enumerate(counts))  # of 255 times each value
        return math.sqrt(squares / sum(counts)) / 255

    @cached_property
    def content_hash(self) -> str:
        """The sha256 of shape, pixels and labels."""
        digest = hashlib.sha256(str(tuple(self.pixels.shape)).encode())
        digest.update(self.pixels.contiguous().numpy().data)
        if self.labels is not None:
            digest.update(self.labels.contiguous().numpy().data)
        return digest.hexdigest()

    def scaled(self) -> Tensor:
        """The images as networks see them, float32 in [-1, 1]: pixels / 127.5 - 1."""
        return self.pixels.float() / 127.5 - 1


def to_uint8(x: Tensor) -> Tensor:
    """Convert samples in [-1, 1] to pixels as the EDM paper does: ``x * 127.5 + 128``, clipped to 0..255, truncated."""
    return (x * 127.5 + 128).clip(0, 255).to(torch.uint8)


def numbered_classes(labels: Tensor, count: int, where: str) -> tuple[str, ...]:
    """The names "0", "1", ... of numbered classes. Raises ``DataError`` if ``labels`` do not match ``count`` images."""
    if labels.shape != (count,):
        raise DataError(f"{where}: labels of shape {list(labels.shape)} for {count} images; one per image is needed")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MOST_CLASSES:
        raise DataError(f"{where}: labels from {low} to {high}; class numbers must be 0, 1, ... below {MOST_CLASSES}")
    return tuple(map(str, range(high + 1)))
