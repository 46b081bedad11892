"""Data sets that are read from files: what ``folder``, ``zip`` and ``npz`` share."""

from __future__ import annotations

import hashlib
import os
import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from designspace.bars import shown
from designspace.data.decode import Pixels, decode, file_format, fitted
from designspace.data.gather import Gathered, Series, decoded
from designspace.data.images import Images
from designspace.data.layout import class_folders, indexed
from designspace.data.limits import require_room
from designspace.data.listing import SUFFIXES, Listing
from designspace.data.rows import Data, Files
from designspace.errors import DataError

LARGEST = 2**30
"""The largest size of an image file in bytes; Pillow refuses images that need more."""


@dataclass(frozen=True)
class Opened:
    """The files of a data set while it is read."""

    where: Path
    """The folder or archive, which errors name."""
    listing: Listing
    open: Callable[[str], IO[bytes]]
    """Opens one of the files."""
    stored: Callable[[], int]
    """The size of all files together, in bytes."""

    def read(self, name: str) -> bytes:
        """The content of a file. Raises ``DataError``, naming it, if it is damaged."""
        try:
            with self.open(name) as file:
                return file.read()
        except DataError:
            raise
        except Exception as error:  # on damaged archives zipfile and zlib raise nearly anything
            raise DataError(f"{self.where}: {name} cannot be read: {error}") from error


class Located(Data):
    """A data set in a file or folder."""

    path: Path


class FromFiles(Gathered, Located):  # in this order, `path` is the first field
    """A data set in a file or folder, with the optional resizing of its images."""


class ImageFiles(FromFiles):
    """Images in files of their own, in the order of their names."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Opened]:
        """The files, for reading. Raises ``DataError`` if the set is missing or damaged."""

    def load(self) -> Images:
        with self.opened() as files:
            series = self._series(files)
            classes = self._classes(files)
            return Images(self.gathered(series), *classes)

    def each(self) -> list[Tensor]:
        found: list[Tensor] = []
        total = 0
        with self.opened() as files:
            series = self._series(files)
            for _, array in shown(decoded(series), "reading images", series.count):
                total += array.nbytes
                require_room(total, self.path)
                found.append(torch.from_numpy(array.copy()))
        return found

    def files_read(self) -> Files:
        return _files(self, self.content_hash())

    def _series(self, files: Opened) -> Series:
        names = files.listing.images
        if not names:
            raise DataError(f"{self.path}: no images found; known formats are {' '.join(SUFFIXES)}")
        if files.listing.left_out:
            warnings.warn(f"{self.path}: {files.listing.left_out}", stacklevel=4)
        images = ((name, partial(self._pixels, files.read(name))) for name in names)
        return Series(self.path, len(names), images, files.stored)

    def _pixels(self, content: bytes) -> Pixels:
        return fitted(decode(content), self.size, self.crop)

    def _classes(self, files: Opened) -> tuple[Tensor | None, tuple[str, ...]]:
        """Labels come from a ``dataset.json`` beside the images, else from class folders."""
        listing = files.listing
        names = [name.removeprefix(listing.root) for name in listing.images]
        if listing.index is None:
            return class_folders(self.path, names)
        return indexed(self.path, files.read(listing.index), names)


@lru_cache(maxsize=8)
def _files(data: ImageFiles, content: str) -> Files:
    """The formats of the files by their first bytes; ``content`` is the hash of what they hold."""
    with data.opened() as files:
        formats: Counter[str] = Counter()
        for name in files.listing.images:
            with files.open(name) as file:
                formats[file_format(file)] += 1
        return Files(dict(sorted(formats.items())), files.listing.ignored)


def require_size_of_an_image(name: object, size: int) -> None:
    """Raise ``DataError`` if a file of ``size`` bytes is too large for an image; called before it is read."""
    if size > LARGEST:
        raise DataError(f"{name} has {size / 1e9:.3g} GB, too much for an image")
    require_room(size, name)


def hashed(names: tuple[str, ...], hash_of: Callable[[str], str]) -> str:
    """The sha256 of names and of the hashes of their content."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(f"{name}\0{hash_of(name)}"))
    return digest.hexdigest()
