"""Files that are whole or not there, and tensors that are what they were when they were written."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor


class StorageError(Exception):
    """A file cannot be written: the disk is full or the place is not writable. The message names it."""


class DamagedError(Exception):
    """A file of tensors is not what was written."""


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn what the operating system says against writing ``path`` into a ``StorageError``."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write ``path`` so that at any moment it holds all of ``data`` or what it held before.

    Raises ``StorageError``; nothing is left behind then.
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
