"""The cache of expensive tensors, in files whose names are hashes of everything that the tensors depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import safetensors.torch
import torch
from torch import Tensor

from designspace.errors import DamagedError
from designspace.storage.arrays import Part, digest, verified
from designspace.storage.files import CacheFolder, write_whole


def pack(name: str, tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a safetensors file whose metadata hold the sha256 of ``name`` and the content."""
    plain = apart({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
    return safetensors.torch.save(plain, {"sha256": digest(name, _parts(plain))})


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors``, cloned where they share memory (tied parameters, for instance), which safetensors does not allow."""
    places: set[int] = set()
    found = {}
    for key, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[key] = tensor.clone() if place in places else tensor
        places.add(place)
    return found


def unpack(name: str, data: bytes) -> dict[str, Tensor]:
    """The tensors in ``data``, as written by ``pack(name, ...)``. Raises ``DamagedError`` if a single bit differs."""
    return verified(name, data, safetensors.torch.load, _parts)


def _parts(tensors: Mapping[str, Tensor]) -> Iterable[Part]:
    for key, tensor in tensors.items():
        yield key, str(tensor.dtype), tuple(tensor.shape), tensor.reshape(-1).view(torch.uint8).numpy().data


class Cache(CacheFolder):
    """A cache of tensors, addressed by stage and key.

    Several processes may share a cache: files are written atomically, and verified whenever they are read.
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
        """The tensors of ``key``; if they are not in the cache, they are computed by ``make`` and stored."""
        found = self.get(stage, key)
        if found is None:
            found = make()
            self.put(stage, key, found)
        return found
