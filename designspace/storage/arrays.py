"""NumPy arrays in safetensors files with a checksum. ``storage.cache`` writes the same format from PyTorch tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy

from designspace.errors import DamagedError

T = TypeVar("T")
Part = tuple[str, str, tuple[int, ...], Any]
"""The name, dtype (as PyTorch writes it), shape and bytes of an array."""
UNIT = "@unit"
"""Appended to the name of an array in half precision, the name of its unit."""


def pack(name: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file whose metadata hold the sha256 of ``name`` and the content."""
    plain = {key: np.ascontiguousarray(array).reshape(array.shape) for key, array in arrays.items()}
    return safetensors.numpy.save(plain, {"sha256": digest(name, _parts(plain))})


def unpack(name: str, data: bytes) -> dict[str, np.ndarray]:
    """The arrays in ``data``, as written by ``pack(name, ...)``. Raises ``DamagedError`` if a single bit differs."""
    return verified(name, data, lambda data: dict(safetensors.numpy.load(data)), _parts)


def half(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``arrays`` with those of 32-bit floats in half precision, in units of a power of two, which is kept beside them.

    Eleven significant bits suffice for what is averaged or drawn, and halve the files. The rounding errors, at most
    2^-11 of each value or 2^-25 of the largest one, are independent of each other and change the standard error of a
    mean by far less than its own uncertainty.
    """
    found: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        found[name] = array
        if array.dtype == np.float32:
            largest = np.max(np.abs(array), initial=0, where=np.isfinite(array))
            unit = np.float32(2.0 ** np.frexp(largest)[1])
            found |= {name: (array / unit).astype(np.float16), f"{name}{UNIT}": np.asarray(unit)}
    return found


def whole(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ``half`` was given, rounded; arrays that are not of ``half`` stay as they are."""
    units = {name: arrays[f"{name}{UNIT}"] for name in arrays if f"{name}{UNIT}" in arrays}
    kept = {name: array for name, array in arrays.items() if not name.endswith(UNIT)}
    return kept | {name: arrays[name].astype(np.float32) * unit for name, unit in units.items()}


def verified(name: str, data: bytes, load: Callable[[bytes], T], parts: Callable[[T], Iterable[Part]]) -> T:
    """The content of a safetensors file as ``load`` reads it. Raises ``DamagedError`` if its sha256 does not match."""
    try:
        content = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        expected = header["__metadata__"]["sha256"]
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from error
    if digest(name, parts(content)) != expected:
        raise DamagedError("its sha256 does not match its content")
    return content


def digest(name: str, parts: Iterable[Part]) -> str:
    """The sha256 of a name and of arrays, whose order does not matter."""
    found = hashlib.sha256(name.encode())
    for key, dtype, shape, data in sorted(parts, key=lambda part: part[0]):
        found.update(f"\n{key} {dtype} {shape}\n".encode())
        found.update(data)
    return found.hexdigest()


def _parts(arrays: Mapping[str, np.ndarray]) -> Iterable[Part]:
    for key, array in arrays.items():
        yield key, f"torch.{array.dtype}", array.shape, array.reshape(-1).view(np.uint8).data
