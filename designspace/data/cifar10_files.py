"""The files of CIFAR-10, each with a batch of images: pickles or binary, in a folder or in a compressed tar archive."""

from __future__ import annotations

import gzip
import math
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from designspace.errors import DataError
from designspace.storage.files import reading
from designspace.storage.pickled import Inert, PickleError
from designspace.storage.pickles import Pickle

SHAPE = (3, 32, 32)
SIZE = math.prod(SHAPE)
BINARY = ".bin"
"""The suffix of binary batches, which pickles lack. Per image, they have a byte for the class, then the pixels."""
MOST = 2**28
"""The most bytes of an archive that are unpacked; the published ones have 184 and 186 million."""
MOST_MEMBERS = 1000
"""The most members of an archive; the published ones have nine."""
LARGEST_LABEL = 9

Arrays = tuple[NDArray[np.uint8], NDArray[Any]]
"""Pixels ``[N, 3, 32, 32]`` and class numbers ``[N]``."""


@dataclass(frozen=True)
class Batch:
    """One of the files."""

    where: str
    """What errors call it."""
    name: str
    content: bytes

    @property
    def stem(self) -> str:
        return self.name.removesuffix(BINARY)

    def read(self, count: int) -> Arrays:
        """The images. Raises ``DataError`` unless there are ``count``, with class numbers from 0 to 9."""
        try:
            pixels, labels = (_binary if self.name.endswith(BINARY) else _pickled)(self.content, count)
        except PickleError as error:
            raise DataError(f"{self.where} {error}; nothing in it was executed") from error
        if not (labels >= 0).all() or not (labels <= LARGEST_LABEL).all():
            found = f"{labels.min()} to {labels.max()}"
            raise DataError(f"{self.where} has the labels {found}, where those of CIFAR-10 are 0 to {LARGEST_LABEL}")
        return pixels, labels


def batch_file(folder: Path, name: str) -> Path:
    """The file of a batch in ``folder``, a pickle or binary. Raises ``DataError`` if there is none."""
    for file in (folder / name, folder / f"{name}{BINARY}"):
        if file.is_file():
            return file
    raise DataError(f"{folder.absolute()} has neither {name} nor {name}{BINARY}: copy it again")


def in_folder(files: Sequence[Path], count: int) -> Iterator[Batch]:
    """The batches in ``files``, of ``count`` images each."""
    for file in files:
        with reading(file):
            _require_size(str(file), file.name, file.stat().st_size, count)
            yield Batch(str(file), file.name, file.read_bytes())


def in_tar(path: Path, names: Sequence[str], count: int) -> Iterator[Batch]:
    """The batches ``names`` in a ``.tar.gz`` archive, in the order of the archive, which is read in place.

    Raises ``DataError`` if one is missing, and after the last one if the archive is damaged.
    """
    wanted = set(names)
    with reading(path), gzip.open(path) as packed:
        unpacked = _Unpacked(cast(IO[bytes], packed), path)
        try:
            while member := unpacked.next():
                name = PurePosixPath(member.name).name
                stem = name.removesuffix(BINARY)
                if member.isreg() and stem in wanted:
                    wanted.remove(stem)
                    where = f"{path}: {name}"
                    _require_size(where, name, member.size, count)
                    yield Batch(where, name, unpacked.content())
            unpacked.skip(MOST)  # the checksum of the archive comes last
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is not a complete .tar.gz archive ({error}): copy it again") from error
    if wanted:
        raise DataError(f"{path} has no {min(wanted)}: copy it again")


class _Unpacked:
    """A tar archive that is read from its beginning to its end, of which at most ``MOST`` bytes are unpacked.

    ``tarfile`` itself follows the extensions of the format, with which a small archive can take any time and memory.
    The files of CIFAR-10 need none of them: members that belong to an extension are passed over like others.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path, self._left, self._members = file, path, MOST, 0
        self._size = self._padding = 0

    def next(self) -> tarfile.TarInfo | None:
        """The header of the next member, ``None`` at the end."""
        self.skip(self._size + self._padding)
        header = self._read(tarfile.BLOCKSIZE)
        if not header.strip(b"\0"):
            return None
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise DataError(f"{self._path} has more than {MOST_MEMBERS:,} members, so it is not CIFAR-10")
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        if member.size < 0:
            raise tarfile.ReadError("a member has a negative size")
        self._size, self._padding = member.size, -member.size % tarfile.BLOCKSIZE
        return member

    def content(self) -> bytes:
        """The content of the member whose header came last."""
        found, size, self._size = self._read(self._size), self._size, 0
        if len(found) < size:
            raise EOFError("it ends within a member")
        return found

    def skip(self, size: int) -> None:
        """Read on, to the end of the archive at most."""
        while size > 0 and (found := self._read(min(size, 2**20))):
            size -= len(found)

    def _read(self, size: int) -> bytes:
        found = self._file.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise DataError(f"{self._path} unpacks to more than {MOST / 1e6:.0f} MB, so it is not CIFAR-10")
        return found


def _require_size(where: str, name: str, size: int, count: int) -> None:
    """Raise ``DataError`` unless a batch has the size of ``count`` images; a pickle also holds their file names."""
    least = count * (1 + SIZE)
    most = least if name.endswith(BINARY) else 2 * least
    if not least <= size <= most:
        found = f"{size:,} bytes, and {count:,} images take {'' if most == least else 'at least '}{least:,}"
        raise DataError(f"{where} is damaged or no batch of CIFAR-10: it has {found}; copy it again")


def _binary(content: bytes, count: int) -> Arrays:
    records = np.frombuffer(content, np.uint8).reshape(count, 1 + SIZE)
    return records[:, 1:].reshape(count, *SHAPE), records[:, 0]


def _pickled(content: bytes, count: int) -> Arrays:
    """Pixels and labels of a pickle. Raises ``PickleError``, which continues the name of the file."""
    batch = Pickle(memoryview(content), {}).load()
    found = batch if isinstance(batch, dict) else {}
    labels, data = found.get("labels"), _bytes(found.get("data"), count)
    if not isinstance(labels, list) or len(labels) != count or not all(type(k) is int and abs(k) < 256 for k in labels):
        raise PickleError(f"has no list of {count:,} labels, so it is no batch of CIFAR-10")
    return np.frombuffer(data, np.uint8).reshape(count, *SHAPE), np.array(labels)


def _bytes(array: Any, count: int) -> bytes | memoryview:
    """The content of a pickled array of NumPy: uint8 ``[count, 3072]``, row by row."""
    known = isinstance(array, Inert) and array.of.name.endswith("multiarray._reconstruct")
    state = array.state if known and isinstance(array.state, tuple) and len(array.state) == 5 else (None,) * 5
    _, shape, dtype, by_columns, data = state
    code = dtype.arguments[:1] if isinstance(dtype, Inert) and isinstance(dtype.arguments, tuple) else ()
    if isinstance(data, str):  # as pickles of Python 2 give it; a character that is no byte changes the length
        data = data.encode("latin1", "backslashreplace")
    if shape != (count, SIZE) or code != ("u1",) or by_columns or not isinstance(data, bytes | memoryview):
        raise PickleError(f"has no array of {count:,} x {SIZE:,} bytes as its data, so it is no batch of CIFAR-10")
    if len(data) != count * SIZE:
        raise PickleError(f"has {len(data):,} bytes for an array of {count * SIZE:,}: it is damaged")
    return data
