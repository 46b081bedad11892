"""Writing files atomically, reading them with clear errors, and hashing their contents."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from designspace.errors import DataError, StorageError

SPECIAL = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
"""The kinds of special files, which are refused as input."""


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` raised while ``path`` is written into a ``StorageError`` that names ``path``."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write ``path`` atomically: at any moment it holds either all of ``data`` or its previous content.

    Raises ``StorageError``, in which case no partial file is left behind.
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
    """Turn an ``OSError`` raised while ``path`` is read into a ``DataError`` that names ``path``.

    A FIFO, socket or device, which could be read forever or never, is refused with a ``DataError`` beforehand.
    """
    try:
        if (kind := SPECIAL.get(stat.S_IFMT(path.stat().st_mode))) is not None:
            raise DataError(f"{path.absolute()} is a {kind}, not a file or folder")
        yield
    except FileNotFoundError as error:
        raise DataError(f"there is no {path.absolute()}: check the path") from error
    except OSError as error:
        raise DataError(f"cannot read {path.absolute()}: {error.strerror or error}") from error


def content_key(*parts: object) -> str:
    """The sha256 of the canonical JSON of ``parts``, which identifies anything computed from them alone."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """The sha256 of a file's bytes, computed again only if its time or size has changed. Raises ``DataError``."""
    with reading(path):
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{path.absolute()} is a folder, not a file")
        return _file_hash(path.absolute(), status.st_mtime_ns, status.st_ctime_ns, status.st_size)


@cache
def _file_hash(path: Path, mtime_ns: int, ctime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_hash(path: Path) -> str:
    """The sha256 of the content of a file, or of the names and contents of all files in a folder.

    Hidden files and folders and ``__pycache__`` do not count, because tools write them while the folder is used. Links
    are followed; a folder to which several links lead is read once. Raises ``DataError``.
    """
    if not path.is_dir():
        return file_hash(path)
    found, seen = dict[str, str](), dict[tuple[int, int], str]()
    with reading(path):
        _add_folder(path, "", found, seen)
    return content_key(found)


def _add_folder(folder: Path, name: str, found: dict[str, str], seen: dict[tuple[int, int], str]) -> None:
    """Add the hash of each file below ``folder`` to ``found``, by its name relative to the first folder."""
    status = folder.stat()
    first = seen.setdefault((status.st_dev, status.st_ino), name)
    if first != name:  # a link, perhaps to a folder above
        found[name] = f"link to {first or '.'}"
        return
    for path in sorted(folder.iterdir()):
        below = f"{name}/{path.name}".removeprefix("/")
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir():
            _add_folder(path, below, found, seen)
        else:
            found[below] = file_hash(path)


class CacheFolder:
    """The folder of the cache, ``$DESIGNSPACE_CACHE`` or the user's cache folder, with a subfolder per stage."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ.get("DESIGNSPACE_CACHE") or platformdirs.user_cache_dir("designspace"))

    def path(self, stage: str, key: str) -> Path:
        """The file that holds the tensors of ``key``."""
        return self.root / stage / key[:2] / f"{key}.safetensors"

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock ``name`` and yield whether it was acquired; this can only be false without ``wait``.

        The operating system releases the locks of a process that is killed.
        """
        path = self.root / "locks" / f"{name}.lock"
        lock = FileLock(path)
        try:
            with storing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(Timeout):
                    lock.acquire(blocking=wait)
            yield lock.is_locked
        finally:
            lock.release()

    def set_aside(self, path: Path, stage: str, error: Exception) -> None:
        """Move a damaged file to ``<root>/damaged/`` with a warning, so that its content is computed again."""
        aside = self.root / "damaged" / f"{stage}-{path.name}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)
        except FileNotFoundError:  # another process has moved it
            return
        except OSError:
            aside = path
        warnings.warn(f"{path}: damaged ({error}); set aside as {aside}; it is computed again", stacklevel=4)
