"""Data sets that are read from files: what ``folder``, ``zip`` and ``npz`` share."""

from __future__ import annotations

import hashlib
import os
import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designspace.data.decode import decode, file_format, fitted, strictly
from designspace.data.images import Images
from designspace.data.layout import class_folders, indexed
from designspace.data.limits import require_room
from designspace.data.listing import SUFFIXES, Listing
from designspace.data.rows import Data, Files
from designspace.errors import DataError
from designspace.registry.component import Count
from designspace.registry.identity import Since

LARGEST = 2**30
"""The largest size of an image file in bytes; Pillow refuses images that need more."""
RESIZE = "`size: 64, crop: center` resizes them"


@dataclass(frozen=True)
class Opened:
    """The files of a data set while it is read."""

    where: Path
    """The folder or archive, which errors name."""
    listing: Listing
    open: Callable[[str], IO[bytes]]
    """Opens one of the files."""

    def read(self, name: str) -> bytes:
        """The content of a file. Raises ``DataError``, naming it, if it is damaged."""
        try:
            with self.open(name) as file:
                return file.read()
        except DataError:
            raise
        except Exception as error:  # on damaged archives zipfile and zlib raise nearly anything
            raise DataError(f"{self.where}: {name} cannot be read: {error}") from error


class FromFiles(Data):
    """A data set in a file or folder, with the optional resizing of its images."""

    path: Path
    size: Annotated[Count | None, Since(None)] = None
    crop: Annotated[Literal["center"] | None, Since(None)] = None

    @abstractmethod
    def files_hash(self) -> str:
        """The sha256 of the content of the files."""

    def content_hash(self) -> str:
        """The sha256 of the files and of everything that turns them into pixels."""
        version = [str(self.version)] if self.version > 1 else []
        made = [*version, *(f"{key} {value}" for key in ("size", "crop") if (value := getattr(self, key)))]
        files = self.files_hash()
        return hashlib.sha256("\n".join([files, *made]).encode()).hexdigest() if made else files


class ImageFiles(FromFiles):
    """Images in files of their own, in the order of their names."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Opened]:
        """The files, for reading. Raises ``DataError`` if the set is missing or damaged."""

    def load(self) -> Images:
        with self.opened() as files:
            names = files.listing.images
            pixels = np.empty(0, np.uint8)
            for k, array in enumerate(self._decoded(files)):
                if k == 0:
                    require_room(len(names) * array.nbytes, self.path)
                    first, pixels = array, np.empty((len(names), *array.shape), np.uint8)
                if array.shape != first.shape:
                    sizes = f"{names[k]} is {_size(array)} and {names[0]} {_size(first)}"
                    advice = RESIZE if array.shape[1:] != first.shape[1:] else "convert all to RGB or all to grey"
                    raise DataError(f"{self.path}: {sizes}; all images must have the same size and mode: {advice}")
                pixels[k] = array
            return Images(torch.from_numpy(pixels), *self._classes(files))

    def each(self) -> list[Tensor]:
        found: list[Tensor] = []
        total = 0
        with self.opened() as files:
            for array in self._decoded(files):
                total += array.nbytes
                require_room(total, self.path)
                found.append(torch.from_numpy(array.copy()))
        return found

    def files_read(self) -> Files:
        return _files(self, self.content_hash())

    def _decoded(self, files: Opened) -> Iterator[NDArray[np.uint8]]:
        if not files.listing.images:
            raise DataError(f"{self.path}: no images found; known formats are {' '.join(SUFFIXES)}")
        if files.listing.left_out:
            warnings.warn(f"{self.path}: {files.listing.left_out}", stacklevel=4)
        with strictly():
            for name in files.listing.images:
                content = files.read(name)
                try:
                    yield fitted(decode(content), self.size, self.crop)
                except DataError as error:
                    raise DataError(f"{self.path}: {name} {error}") from error

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


def hashed(names: tuple[str, ...], hash_of: Callable[[str], str]) -> str:
    """The sha256 of names and of the hashes of their content."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(f"{name}\0{hash_of(name)}"))
    return digest.hexdigest()


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[2]} x {image.shape[1]} {'grey' if len(image) == 1 else 'RGB'}"
