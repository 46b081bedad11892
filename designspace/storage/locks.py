"""Locks between processes, and the errors of files that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from designspace.errors import StorageError


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` raised while ``path`` is written into a ``StorageError`` that names ``path``."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


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
    finally:
        if not keep and lock.is_locked:
            with suppress(OSError):  # Windows does not remove open files
                path.unlink()
        lock.release()
