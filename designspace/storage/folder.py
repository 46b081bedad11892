"""The cache as a folder that processes share: where its files are, and its locks. It needs no PyTorch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from designspace.storage.files import storing


class CacheFolder:
    """Files by stage and key, in ``<root>/<stage>/``; the root is ``$DESIGNSPACE_CACHE`` or the user's cache folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ.get("DESIGNSPACE_CACHE") or platformdirs.user_cache_dir("designspace"))

    def path(self, stage: str, key: str) -> Path:
        """The file that holds the tensors of ``key``."""
        return self.root / stage / key[:2] / f"{key}.safetensors"

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock ``name``; without ``wait``, give ``False`` at once if another process holds it.

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
        """Move a damaged file to ``<root>/damaged/`` and warn of it, so that its content is computed again."""
        aside = self.root / "damaged" / f"{stage}-{path.name}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)
        except FileNotFoundError:  # another process has moved it
            return
        except OSError:
            aside = path
        warnings.warn(f"{path}: damaged ({error}); set aside as {aside}; it is computed again", stacklevel=4)
