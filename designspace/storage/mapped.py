"""Arrays in the cache that may be larger than the memory: they are written in parts, and mapped instead of read.

The files have the format of ``storage.cache``, with a single array of bytes, and are verified in the same way.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import shutil
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from designspace.errors import DamagedError, StorageError
from designspace.storage.files import written_whole

KEY = "pixels"
"""The name of the array in its file."""
NORESERVE = 0x4000
"""MAP_NORESERVE of Linux: pages that nobody writes need no memory, so that a file may be larger than it."""
PART = 2**26
"""The number of bytes that are hashed at a time."""
LONGEST = 2**16
"""The largest size of the header in bytes."""


def write_mapped(path: Path, name: str, shape: tuple[int, ...], parts: Iterable[NDArray[np.uint8]]) -> None:
    """Write an array of bytes atomically; ``parts`` follow each other in it.

    Raises ``StorageError``, beforehand if the disk has not enough room, and leaves no partial file behind.
    """
    sha = _started(name, shape)
    with written_whole(path) as file:
        if (size := math.prod(shape)) > (free := shutil.disk_usage(path.parent).free):
            much = f"it needs {size / 1e9:.3g} GB and {free / 1e9:.3g} GB are free"
            raise StorageError(f"cannot write {path}: {much}; name another folder with $DESIGNSPACE_CACHE")
        file.write(_header(shape, "0" * 64))
        for part in parts:
            whole = np.ascontiguousarray(part)
            sha.update(whole.data)
            file.write(whole.data)
        file.seek(0)
        file.write(_header(shape, sha.hexdigest()))


def read_mapped(path: Path, name: str) -> NDArray[np.uint8]:
    """The array in a file of ``write_mapped``. It is verified once per process; its pages are read when they are used.

    Raises ``FileNotFoundError``, and ``DamagedError`` if the content is not what was written.
    """
    with path.open("rb") as file:
        start, shape, expected = _about(file)
        array = np.frombuffer(_map(file), np.uint8, offset=start).reshape(shape)
    status = path.stat()
    if _sha256(path, name, status.st_mtime_ns, status.st_size) != expected:
        raise DamagedError("its sha256 does not match its content")
    return array


@lru_cache(maxsize=8)
def _sha256(path: Path, name: str, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        _, shape, _ = _about(file)
        sha = _started(name, shape)
        while part := file.read(PART):
            sha.update(part)
    return sha.hexdigest()


def _started(name: str, shape: tuple[int, ...]) -> hashlib._Hash:
    """The hash of the file without its content; with the content, it is that of ``storage.arrays.digest``."""
    return hashlib.sha256(f"{name}\n{KEY} torch.uint8 {shape}\n".encode())


def _header(shape: tuple[int, ...], sha256: str) -> bytes:
    """The header of a safetensors file."""
    about = {"dtype": "U8", "shape": list(shape), "data_offsets": [0, math.prod(shape)]}
    text = json.dumps({"__metadata__": {"sha256": sha256}, KEY: about}).encode()
    return len(text).to_bytes(8, "little") + text


def _about(file: BinaryIO) -> tuple[int, tuple[int, ...], str]:
    """Where the array begins in the file, its shape and its sha256."""
    try:
        text = file.read(min(int.from_bytes(file.read(8), "little"), LONGEST))
        header = json.loads(text)
        shape, sha256 = tuple(map(int, header[KEY]["shape"])), str(header["__metadata__"]["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"its header cannot be read: {error}") from error
    start, size = file.tell(), file.seek(0, 2)
    file.seek(start)
    if size - start != math.prod(shape):
        raise DamagedError(f"it has {size - start} bytes for an array {list(shape)}")
    return start, shape, sha256


def _map(file: BinaryIO) -> mmap.mmap:
    """The file in memory, page by page; what is written to it stays in this process."""
    if sys.platform != "linux":
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    writable = mmap.PROT_READ | mmap.PROT_WRITE
    return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE | NORESERVE, prot=writable)
