"""Writing files atomically, reading them with clear errors, and hashing their contents."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

import platformdirs

from designspace.errors import DataError, SharedCacheWarning
from designspace.storage.locks import locked, storing

SPECIAL = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
"""The kinds of special files, which are refused as input."""


SYSTEM = {
    *("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found"),
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot"),
}
"""Files and folders that operating systems and storage devices add, in lower case."""
PART = ".part"
"""The end of the name of a file that is being written. The name also holds the machine and the process."""
ABANDONED = 3600.0
"""The age in seconds above which such a file is abandoned, even if its process cannot be looked up from here."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden or belongs to the operating system."""
    return name.startswith(".") or name.lower() in SYSTEM


def write_whole(path: Path, data: bytes) -> None:
    """Write ``path`` atomically: at any moment it holds either all of ``data`` or its previous content.

    Raises ``StorageError``, in which case no partial file is left behind.
    """
    with written_whole(path) as file:
        file.write(data)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file for writing that replaces ``path`` at the end of the block, and is removed if the block fails.

    Raises ``StorageError`` if it cannot be written.
    """
    part = path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}{PART}")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_parts(path.parent.absolute())
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@cache
def _remove_parts(folder: Path) -> None:
    """Remove the files that killed processes left in ``folder``; a process looks at each folder once."""
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError):  # another process may have removed it
            if _is_abandoned(part):
                part.unlink()


def _is_abandoned(part: Path) -> bool:
    """Whether the process that was writing ``part`` has ended. On other machines, only its age can tell."""
    host, pid, *_ = [*part.name.removesuffix(PART).rpartition(".")[2].split("-"), ""]
    ended = host == _host() and pid.isdecimal() and not _is_running(int(pid))
    return ended or time.time() - part.stat().st_mtime > ABANDONED


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":  # where os.kill would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        pass
    return True


@cache
def _host() -> str:
    """A hash of this machine and, on Linux, of the namespace in which process ids are unique, as in a container."""
    namespace = Path("/proc/self/ns/pid")
    inode = namespace.stat().st_ino if namespace.exists() else 0
    return content_key(platform.node(), inode)[:8]


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
        return _file_hash(path.absolute(), status.st_mtime_ns, status.st_ctime_ns, status.st_size)


@cache
def _file_hash(path: Path, mtime_ns: int, ctime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_hash(path: Path) -> str:
    """The sha256 of the content of a file, or of the names and contents of all files in a folder.

    Hidden files and folders, those of the system and ``__pycache__`` do not count, because they are written while the
    folder is used. Links are followed; a folder to which several links lead is read once. Raises ``DataError``.
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
        if is_hidden(path.name) or path.name == "__pycache__":
            continue
        if path.is_dir():
            _add_folder(path, below, found, seen)
        else:
            found[below] = file_hash(path)


@cache
def _warn_of_other_users(root: Path) -> None:
    if folder := open_to_others(root):
        what = f"the cache {root}" if folder == root else f"{folder}, in which the cache is,"
        warnings.warn(
            f"{what} can be changed by any user of this machine, and results with it: chmod o-w {folder}, or name "
            "another folder with $DESIGNSPACE_CACHE",
            SharedCacheWarning,
            stacklevel=4,
        )


def open_to_others(root: Path) -> Path | None:
    """The folder that allows every user to change ``root``: itself, or one above it; ``None`` if there is none.

    In a folder with the sticky bit, such as /tmp, others cannot replace folders that are not theirs.
    """
    for folder in (root, *root.parents):
        with suppress(OSError):  # it does not exist yet
            mode = folder.stat().st_mode
            if mode & stat.S_IWOTH and (folder == root or not mode & stat.S_ISVTX):
                return folder
    return None


class CacheFolder:
    """The folder of the cache, ``$DESIGNSPACE_CACHE`` or the user's cache folder, with a subfolder per stage."""

    def __init__(self, root: Path | None = None) -> None:
        given = root or Path(os.environ.get("DESIGNSPACE_CACHE") or platformdirs.user_cache_dir("designspace"))
        self.root = given.absolute()  # the code of components may change the working directory
        _warn_of_other_users(self.root)

    def path(self, stage: str, key: str) -> Path:
        """The file that holds the tensors of ``key``."""
        return self.root / stage / key[:2] / f"{key}.safetensors"

    def lock(self, name: str, *, wait: bool = True, keep: bool = True) -> AbstractContextManager[bool]:
        """Hold the lock ``name`` of this cache: see ``locked``."""
        return locked(self.root / "locks" / f"{name}.lock", wait=wait, keep=keep)

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
