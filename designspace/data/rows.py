"""The row ``data``."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from designspace.data.images import Images
from designspace.registry.component import Component


class KnownFeatures(NamedTuple):
    """Features of a data set that were computed in advance."""

    features: Tensor
    """The features of some of the images, float32 ``[m, d]``."""
    n: int
    """The number of all images."""
    mean: Tensor
    """The mean of the features of all images, float64 ``[d]``."""
    cov: Tensor
    """Their covariance, float64 ``[d, d]``, with n - 1 in the denominator."""


@dataclass(frozen=True)
class Files:
    """The image files of a data set."""

    formats: dict[str, int]
    """The number of files in each format: ``{"jpeg": 10, "png": 9}``."""
    ignored: dict[str, int]
    """The number of files that are not read, by suffix."""


class Data(Component, row="data"):
    """A data set of images, held in memory as uint8."""

    has_pixels: ClassVar[bool] = True
    """False if the images are not known, but only their shape and the like."""
    features_of: ClassVar[str] = ""
    """The detector that has ``known_features``; empty if none has."""

    @abstractmethod
    def load(self) -> Images:
        """Read and decode the images. Raises ``DataError``, naming the file, if this fails."""

    @abstractmethod
    def content_hash(self) -> str:
        """The sha256 of the content, independent of its path. Raises ``DataError`` if it is missing."""

    def known_features(self, detector: dict[str, Any]) -> KnownFeatures | None:
        """Features that come with the data set, for the detector with this identity; by default there are none."""
        return None

    def each(self) -> list[Tensor]:
        """The images one by one, uint8 ``[C, H, W]``. Unlike those of ``load``, they may differ in size and mode."""
        return list(self.load().pixels)

    def files_read(self) -> Files | None:
        """The files from which the images are read; ``None`` if they are arrays."""
        return None

    def identity(self) -> dict[str, Any]:
        """The origin and the hash of the content, wherever the files are; for a class of a user, its fields as well."""
        own = self.origin() if self.built_in() else super().identity()
        return own | {"content": self.content_hash()}
