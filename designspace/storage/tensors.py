"""PyTorch tensors in safetensors files that carry a checksum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import safetensors.torch
import torch
from torch import Tensor

from designspace.errors import DamagedError
from designspace.storage.arrays import Part, digest, written_digest


def pack(name: str, tensors: Mapping[str, Tensor]) -> bytes:
    """A safetensors file that carries the sha256 of its ``name`` and its content."""
    plain = apart({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
    return safetensors.torch.save(plain, {"sha256": digest(name, _parts(plain))})


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` without shared memory, such as that of tied parameters, which safetensors refuses."""
    places: set[int] = set()
    found = {}
    for key, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[key] = tensor.clone() if place in places else tensor
        places.add(place)
    return found


def unpack(name: str, data: bytes) -> dict[str, Tensor]:
    """The tensors of ``pack(name, ...)``. Raises ``DamagedError`` if a single bit of them differs."""
    try:
        tensors = safetensors.torch.load(data)
        expected = written_digest(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from error
    if digest(name, _parts(tensors)) != expected:
        raise DamagedError("its sha256 does not match its content")
    return tensors


def _parts(tensors: Mapping[str, Tensor]) -> Iterable[Part]:
    for key, tensor in tensors.items():
        yield key, str(tensor.dtype), tuple(tensor.shape), tensor.reshape(-1).view(torch.uint8).numpy().data
