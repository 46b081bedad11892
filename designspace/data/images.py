"""Images, and the conversion of samples to pixels."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from designspace.data.limits import require_room
from designspace.errors import DataError
from designspace.registry.calling import described

MOST_CLASSES = 100_000
"""The largest number of classes; larger labels are probably not class numbers."""

UINT8 = "uint8: 127.5 x + 128, clipped to 0..255, truncated"
"""The description of ``to_uint8`` that protocols record."""


@dataclass(frozen=True)
class Images:
    """A data set of images."""

    pixels: Tensor
    """uint8 ``[N, C, H, W]``; a large set is mapped from the cache, and whoever uses it copies only parts of it."""
    labels: Tensor | None = None
    """The class of each image, int64 ``[N]``; ``None`` without classes."""
    classes: tuple[str, ...] = ()
    """The name of each class."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` unless pixels, labels and classes are as stated here."""
        pixels, labels = self.pixels, self.labels
        if not (isinstance(pixels, Tensor) and pixels.dtype == torch.uint8 and pixels.ndim == 4 and pixels.numel()):
            raise ValueError(f"the pixels are {described(pixels)}; they must be a uint8 tensor [N, C, H, W]")
        if labels is None:
            return
        if not (isinstance(labels, Tensor) and labels.dtype == torch.int64 and labels.shape == (len(pixels),)):
            raise ValueError(f"the labels are {described(labels)}; they must be an int64 tensor [{len(pixels)}]")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or (self.classes and high >= len(self.classes)):
            of = f"0 to {len(self.classes) - 1}, the numbers of the classes" if self.classes else "at least 0"
            raise ValueError(f"the labels are {low} to {high}; they must be {of}")

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
        """The images as networks see them, float32 in [-1, 1]: pixels / 127.5 - 1.

        Raises ``DataError`` if all of them exceed the limit on decoded data.
        """
        require_room(4 * self.pixels.numel(), f"a set of {len(self)} images, which is needed as float32 at once,")
        return self.pixels.float() / 127.5 - 1


class Unseen(Images):
    """A data set of which the images are not known, but ``shape``, ``classes`` and maybe more.

    ``labels`` are those of all ``images``, if their number is given, or else one per class. Whatever needs the images
    raises ``DataError`` with the text ``why``, which says what to use instead.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        labels: Tensor | None,
        classes: tuple[str, ...],
        why: str,
        *,
        images: int | None = None,
        sigma_data: float | None = None,
    ) -> None:
        known: dict[str, object] = {
            "labels": labels,
            "classes": classes,
            "_shape": shape,
            "_why": why,
            "_images": images,
        }
        known |= {} if sigma_data is None else {"sigma_data": sigma_data}
        self.__dict__.update(known)  # the dataclass is frozen

    def __len__(self) -> int:
        """Raises ``DataError`` if the number of images is not known."""
        images: int | None = self.__dict__["_images"]
        if images is None:
            raise DataError(self.__dict__["_why"])
        return images

    def __bool__(self) -> bool:
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """``(C, H, W)``."""
        shape: tuple[int, ...] = self.__dict__["_shape"]
        return shape

    @property
    def pixels(self) -> Tensor:
        """Raises ``DataError``: the images are not there."""
        raise DataError(self.__dict__["_why"])


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
