"""The folder of the cache, and locks, which processes on one or several machines share."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from designspace.errors import SharedCacheWarning
from designspace.storage.files import storing


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


@contextmanager
def locked(path: Path, *, wait: bool = True, keep: bool = True) -> Iterator[bool]:
    """Hold the lock of the file ``path`` and yield whether it was acquired; this can only be false without ``wait``.

    The operating system releases the locks of a process that is killed. Without ``keep``, the file is removed in the
    end. Another process may then hold the removed file while a third one holds a new file, so whoever has acquired such
    a lock first checks whether the work has been done, and nobody waits for it.

    Raises ``StorageError``, for instance if the file system has no locks.
    """
    lock = FileLock(path)
    try:
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(Timeout):
                lock.acquire(blocking=wait)
        yield lock.is_locked
        if not keep and lock.is_locked:
            with suppress(OSError):  # Windows does not remove open files
                path.unlink()
    finally:
        lock.release()


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
