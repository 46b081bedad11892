"""Statistics of the pixels of a data set, computed from integer counts so that they do not depend on the machine."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.errors import DataError
from designspace.text import counted

PART = 1000
"""The number of images whose values are counted at a time."""
FEWEST = 20
"""The least number of images for which the survey makes sense."""


@dataclass(frozen=True)
class Facts:
    """Statistics of the images and of their values, scaled to [-1, 1]."""

    images: int
    shape: tuple[int, ...]
    """``(C, H, W)``."""
    sigma_data: float
    """The root mean square of all values."""
    mean: float
    std: float
    """The standard deviation of all values about their mean."""
    channel_std: tuple[float, ...]
    """The standard deviation of each channel about its own mean."""
    channel_mean: tuple[float, ...]
    pixel_range: tuple[int, int]
    """The smallest and the largest pixel value, from 0 to 255."""
    pixel_values: int
    """The number of the 256 pixel values that occur."""
    classes: dict[str, int]
    """The number of images per class; empty if there are no classes."""
    copies: int
    """The number of images that are equal to an earlier one."""
    copied: int
    """The number of distinct images that have copies."""

    @classmethod
    def of(cls, data: Images) -> Facts:
        """Measure ``data``. Raises ``DataError`` if there are fewer than ``FEWEST`` images, or all are equal."""
        if len(data) < FEWEST:
            raise DataError(f"{counted(len(data), 'image')} found, but a survey needs at least {FEWEST}")
        seen = Counter(hashlib.blake2b(image, digest_size=16).digest() for image in data.pixels.contiguous().numpy())
        if len(seen) == 1:
            raise DataError(f"all {len(data)} images are the same: there is nothing to learn")
        counts = torch.stack([_histogram(data.pixels[:, channel]) for channel in range(data.shape[0])])
        used = counts.sum(0).nonzero()[:, 0].tolist()
        (mean,), (std,) = _moments(counts.sum(0, keepdim=True))
        means, stds = _moments(counts)
        copied = sum(count > 1 for count in seen.values())
        return cls(
            images=len(data),
            shape=data.shape,
            sigma_data=data.sigma_data,
            mean=mean,
            std=std,
            channel_std=stds,
            channel_mean=means,
            pixel_range=(used[0], used[-1]),
            pixel_values=len(used),
            classes=_classes(data),
            copies=len(data) - len(seen),
            copied=copied,
        )


def _histogram(pixels: Tensor) -> Tensor:
    """The number of times that each pixel value occurs, counted in parts, since the pixels of a channel are copied."""
    parts = (torch.bincount(part.flatten(), minlength=256) for part in torch.split(pixels, PART))
    return torch.stack(list(parts)).sum(0)


def _moments(counts: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation, on the scale [-1, 1], of each row of pixel counts ``[K, 256]``."""
    means, stds = [], []
    for row in counts.tolist():
        n, total = sum(row), sum(k * count for k, count in enumerate(row))
        squares = sum(k * k * count for k, count in enumerate(row))
        means.append(total / n / 127.5 - 1)
        stds.append(math.sqrt(n * squares - total**2) / n / 127.5)
    return tuple(means), tuple(stds)


def _classes(data: Images) -> dict[str, int]:
    if data.labels is None:
        return {}
    counts = torch.bincount(data.labels, minlength=len(data.classes)).tolist()
    return dict(zip(data.classes, counts, strict=True))
