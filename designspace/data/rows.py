"""The row ``data``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from designspace.data.images import Images
from designspace.registry.component import Component


class Data(Component, row="data"):
    """A data set of images, held in memory as uint8."""

    @abstractmethod
    def load(self) -> Images:
        """Read and decode the images. Raises ``DataError``, naming the file, if this fails."""

    @abstractmethod
    def content_hash(self) -> str:
        """The sha256 of the content, independent of its path. Raises ``DataError`` if it is missing."""

    def identity(self) -> dict[str, Any]:
        """The hash of the content in place of the path, so that files may be moved."""
        return self.origin() | {"content": self.content_hash()}
