"""Tensors in files, checked when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import safetensors.torch
import torch
from torch import Tensor

from designspace.errors import DamagedError


def pack(name: str, tensors: Mapping[str, Tensor]) -> bytes:
    """A safetensors file that carries the sha256 of its ``name`` and its content."""
    plain = apart({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
    return safetensors.torch.save(plain, {"sha256": _digest(name, plain)})


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors``, none in the memory of another, as tied parameters are: safetensors takes no others."""
    places: set[int] = set()
    found = {}
    for key, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[key] = tensor.clone() if place in places else tensor
        places.add(place)
    return found


def unpack(name: str, data: bytes) -> dict[str, Tensor]:
    """The tensors of ``pack(name, ...)``. Raises ``DamagedError`` if a bit of them differs."""
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        expected = header["__metadata__"]["sha256"]
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from error
    if _digest(name, tensors) != expected:
        raise DamagedError("its sha256 does not match its content")
    return tensors


def _digest(name: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(name.encode())
    for key in sorted(tensors):
        digest.update(f"\n{key} {tensors[key].dtype} {tuple(tensors[key].shape)}\n".encode())
        digest.update(tensors[key].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
