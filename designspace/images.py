"""Images in memory, and the one way from samples to pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


class DataError(Exception):
    """A file that is missing, unreadable or not what it should be; the message names it and says what to do."""


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
