"""NumPy archives, whose arrays are checked before memory is allocated for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from designspace.data.limits import require_room
from designspace.errors import DataError
from designspace.storage.files import reading

HEADERS: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Readers of the header of an array, by the version of its format."""


@dataclass(frozen=True)
class Header:
    """What an archive says about one of its arrays."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The size of the array in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def headers(path: Path) -> dict[str, Header]:
    """The arrays in an npz file, which are not read. Members that are no arrays are left out.

    Raises ``DataError`` if the file is damaged.
    """
    with reading(path), path.open("rb") as file:
        try:
            with ZipFile(file) as archive:
                names = [name for name in archive.namelist() if name.endswith(".npy")]
                return {name.removesuffix(".npy"): _header(archive, name) for name in names}
        except Exception as error:  # on damaged bytes numpy, zipfile and zlib raise nearly anything
            raise DataError(f"{path} cannot be read as an npz file of plain arrays: {error}") from error


def arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Some of the arrays in an npz file.

    Raises ``DataError`` if the file is damaged, if the arrays exceed the limit on decoded data, and for pickled arrays.
    """
    known = headers(path)
    chosen = {name: known[name] for name in names}
    require_room(sum(header.size for header in chosen.values()), path, path.stat().st_size)
    with reading(path), path.open("rb") as file:
        try:
            with ZipFile(file) as archive:
                return {name: _array(archive, f"{name}.npy") for name in chosen}
        except Exception as error:
            raise DataError(f"{path} cannot be read as an npz file of plain arrays: {error}") from error


def _header(archive: ZipFile, name: str) -> Header:
    with archive.open(name) as member:
        shape, _, dtype = HEADERS[np.lib.format.read_magic(member)](member)
        found, size = Header(dtype, tuple(shape)), archive.getinfo(name).file_size
        if found.size > size and not dtype.hasobject:
            raise ValueError(f"{name} has {size} bytes for {found}")
        return found


def _array(archive: ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)
