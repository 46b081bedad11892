"""What is expensive to compute, kept under the hash of what it depends on."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from torch import Tensor

from designspace.errors import DamagedError
from designspace.storage.files import storing, write_whole
from designspace.storage.tensors import pack, unpack


def content_key(*parts: object) -> str:
    """sha256 of the canonical JSON of ``parts``: the key of what is computed from them, and from nothing else."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


class Cache:
    """Tensors by stage and key, in ``<root>/<stage>/``; the root is ``$DESIGNSPACE_CACHE`` or the user's cache folder.

    Several processes may share it: a file is whole or not there, and is verified when read.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ.get("DESIGNSPACE_CACHE") or platformdirs.user_cache_dir("designspace"))

    def path(self, stage: str, key: str) -> Path:
        """Where the tensors of ``key`` are kept."""
        return self.root / stage / key[:2] / f"{key}.safetensors"

    def get(self, stage: str, key: str) -> dict[str, Tensor] | None:
        """The tensors, or ``None`` if they are not there or damaged; a damaged file is moved aside with a warning."""
        path = self.path(stage, key)
        try:
            return unpack(f"{stage}/{key}", path.read_bytes())
        except FileNotFoundError:
            return None
        except (DamagedError, OSError) as error:
            self._set_aside(path, stage, error)
            return None

    def put(self, stage: str, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep the tensors. Raises ``StorageError`` if they cannot be written."""
        write_whole(self.path(stage, key), pack(f"{stage}/{key}", tensors))

    def get_or_make(self, stage: str, key: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors of ``key``, made and kept if they are not there."""
        found = self.get(stage, key)
        if found is None:
            found = make()
            self.put(stage, key, found)
        return found

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock ``name``, or give ``False`` if another process holds it and ``wait`` is not asked for.

        The operating system releases the lock of a process that is killed.
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

    def _set_aside(self, path: Path, stage: str, error: Exception) -> None:
        aside = self.root / "damaged" / f"{stage}-{path.name}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)
        except FileNotFoundError:  # another process was faster
            return
        except OSError:
            aside = path
        warnings.warn(f"{path}: damaged ({error}); set aside as {aside}; it is computed again", stacklevel=4)
