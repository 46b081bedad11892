"""Files that are whole or not there, and tensors that are what they were when they were written."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from designspace.errors import DataError, StorageError


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn what the operating system says against writing ``path`` into a ``StorageError``."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write ``path`` so that at any moment it holds all of ``data`` or what it held before.

    Raises ``StorageError``; nothing is left behind then.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the operating system says against reading ``path`` into a ``DataError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"there is no {path.absolute()}: check the path") from error
    except OSError as error:
        raise DataError(f"cannot read {path.absolute()}: {error.strerror or error}") from error


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes, read once a process while the file's time and size stay. Raises ``DataError``."""
    with reading(path):
        stat = path.stat()
        return _file_hash(path.absolute(), stat.st_mtime_ns, stat.st_size)


@cache
def _file_hash(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
