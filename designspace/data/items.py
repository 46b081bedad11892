"""Data sets of other libraries and of users: sequences of images, or of images with their class numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from designspace.data.decode import Pixels, fitted, upright
from designspace.data.gather import Gathered, Series
from designspace.data.images import MOST_CLASSES, Images
from designspace.data.limits import fits_in_memory
from designspace.errors import DataError, brief
from designspace.interrupts import contained
from designspace.registry.calling import described
from designspace.storage.cache import Cache

WANTED = "uint8 tensors [C, H, W], uint8 arrays [H, W, C] or images of Pillow"
UNLABELLED = -1


class Items(Gathered):
    """A data set that a sequence gives item by item."""

    def read(self, items: Any, where: str, *, labelled: bool = True) -> Images:
        """The images of a sequence; errors name ``where`` it is from. Without ``labelled``, no class numbers are read.

        Raises ``DataError``, which names the item, if it is no image, or has no class number although the first has.
        """
        try:
            count = len(items)
        except TypeError:
            found = f"{described(items)}, which has no length"
            raise DataError(f"{where} gives {found}: let it be a sequence of images, or of (image, label)") from None
        labels: list[int] = []
        pixels = self.gathered(Series(where, count, _each(items, where, count, labels, labelled, self._pixels)))
        return Images(pixels, *_classes(self._all_labels(items, where, labels, pixels, labelled), items))

    def _all_labels(self, items: Any, where: str, labels: list[int], pixels: Tensor, labelled: bool) -> Tensor:
        """The labels that were read with the pixels or, if these were in the cache, those that are there, too."""
        if fits_in_memory(pixels.nbytes):
            return torch.tensor(labels)

        def make() -> dict[str, Tensor]:
            if not labels:
                for _ in _each(items, where, len(pixels), labels, labelled, self._pixels):
                    pass
            return {"labels": torch.tensor(labels)}

        return Cache().get_or_make("labels", f"{self.cache_key()}-{labelled}", make)["labels"]

    def _pixels(self, image: Any) -> Pixels:
        if isinstance(image, Image.Image):
            return fitted(upright(image), self.size, self.crop)
        array = _channels_first(image)
        if self.size is None and self.crop is None:
            return array
        if len(array) not in (1, 3):
            raise DataError(f"has {len(array)} channels, and only grey and RGB images can be cropped and resized")
        return fitted(Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0)), self.size, self.crop)


def _each(
    items: Any, where: str, count: int, labels: list[int], labelled: bool, pixels: Callable[[Any], Pixels]
) -> Iterator[tuple[str, Callable[[], Pixels]]]:
    """The name of each image and a function that gives its pixels; ``labels`` receives their labels."""
    for k in range(count):
        try:
            with contained():
                item = items[k]
        except Exception as error:
            raise DataError(f"{where}: item {k} cannot be read: {brief(error)}") from error
        pair = isinstance(item, tuple | list) and len(item) == 2
        image, label = item if pair else (item, None)
        labels.append(_number(where, k, label) if labelled and label is not None else UNLABELLED)
        if (labels[k] == UNLABELLED) != (labels[0] == UNLABELLED):
            raise DataError(f"{where}: of the items 0 and {k}, only one has a label")
        yield f"item {k}", partial(pixels, image)


def _channels_first(image: Any) -> Pixels:
    """An array ``[C, H, W]``, where C is the last axis of ``image`` if both are possible, but the first of a tensor."""
    tensor = isinstance(image, Tensor)
    array = image.detach().cpu().numpy() if tensor else image
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim not in (2, 3) or not array.size:
        raise DataError(f"is {described(image)}; the images must be {WANTED}")
    if array.ndim == 2:
        return array[None]
    if array.shape[2] in (1, 3) and not (tensor and array.shape[0] in (1, 3)):
        return np.ascontiguousarray(array.transpose(2, 0, 1))
    return array


def _number(where: str, k: int, label: Any) -> int:
    try:
        value: Any = label.item() if isinstance(label, Tensor | np.ndarray) else label
        number = operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"{where}: the label of item {k} is {described(label)}, not a class number") from None
    if not 0 <= number < MOST_CLASSES or isinstance(label, bool):
        raise DataError(f"{where}: the label of item {k} is {label}; it must be 0, 1, ... below {MOST_CLASSES}")
    return number


def _classes(labels: Tensor, items: Any) -> tuple[Tensor | None, tuple[str, ...]]:
    """The labels, and the names of the classes: those in the attribute ``classes`` of the sequence, or else numbers."""
    if labels[0] == UNLABELLED:
        return None, ()
    count, names = int(labels.max()) + 1, getattr(items, "classes", None)
    if isinstance(names, list | tuple) and len(names) >= count and all(isinstance(name, str) for name in names):
        return labels, tuple(names)
    return labels, tuple(map(str, range(count)))
