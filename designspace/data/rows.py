"""The row ``data`` as a type."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from designspace.data.images import Images
from designspace.registry.component import Component


class Data(Component, row="data"):
    """A data set of images, all in memory as uint8."""

    @abstractmethod
    def load(self) -> Images:
        """Read and decode it. Raises ``DataError``, naming the file, if that is impossible."""

    @abstractmethod
    def content_hash(self) -> str:
        """sha256 of the content, whatever its path; raises ``DataError`` if it is missing."""

    def identity(self) -> dict[str, Any]:
        """By content: a moved file is the same data."""
        return self.origin() | {"content": self.content_hash()}
