"""Expensive tensors, kept in files whose names are hashes of everything the tensors depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from designspace.errors import DamagedError
from designspace.storage.files import write_whole
from designspace.storage.folder import CacheFolder
from designspace.storage.tensors import pack, unpack


class Cache(CacheFolder):
    """Tensors by stage and key.

    Several processes may share a cache: files are written atomically and verified when they are read.
    """

    def get(self, stage: str, key: str) -> dict[str, Tensor] | None:
        """The tensors, or ``None`` if they are absent or damaged; a damaged file is set aside with a warning."""
        path = self.path(stage, key)
        try:
            return unpack(f"{stage}/{key}", path.read_bytes())
        except FileNotFoundError:
            return None
        except (DamagedError, OSError) as error:
            self.set_aside(path, stage, error)
            return None

    def put(self, stage: str, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep the tensors. Raises ``StorageError`` if they cannot be written."""
        write_whole(self.path(stage, key), pack(f"{stage}/{key}", tensors))

    def get_or_make(self, stage: str, key: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors of ``key``; if the cache does not hold them, ``make`` computes them and they are kept."""
        found = self.get(stage, key)
        if found is None:
            found = make()
            self.put(stage, key, found)
        return found
