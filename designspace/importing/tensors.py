"""Tensors in pickles, and the functions that pickled tensors call."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from designspace.storage.pickled import Inert, Known, PickleError

DTYPES = {
    **{"FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16},
    **{"BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32},
    **{"ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool},
}
MOST_DIMENSIONS, LARGEST = 16, 2**44
"""Limits of the shape of a tensor; what is in the file is checked as well."""
LONGEST_CODE = 256
"""The largest number of bytes that protocol 2 writes as text: those of a number of NumPy."""


@dataclass(frozen=True)
class Storage:
    """The numbers of a storage, as bytes and their type."""

    dtype: torch.dtype
    data: memoryview

    def __len__(self) -> int:
        return len(self.data) // self.dtype.itemsize

    def tensor(self, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        """A copy of the tensor at ``offset``. Raises ``PickleError`` if it does not lie in the storage."""
        _require_shape(size, stride, offset)
        count, last = math.prod(size), offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if math.prod(max(n, 1) for n in size) > LARGEST:
            raise PickleError(f"has a tensor {list(size)}, which is too large")
        if count == 0:
            return torch.empty(size, dtype=self.dtype)
        if last >= len(self) or count > len(self):
            raise PickleError(f"has a tensor {list(size)} in a storage of {len(self):,} numbers: it is damaged")
        width = self.dtype.itemsize
        flat = torch.frombuffer(bytearray(self.data[offset * width : (last + 1) * width]), dtype=self.dtype)
        return flat.as_strided(size, stride).contiguous()


@dataclass(frozen=True)
class Deferred:
    """A tensor of a file, which is copied from its storage only if it is needed."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> Tensor:
        return self.storage.tensor(self.offset, self.size, self.stride)


def read_all(found: Mapping[str, Deferred], size: int) -> dict[str, Tensor]:
    """The tensors of a file of ``size`` bytes. Raises ``PickleError`` if they are together larger than it."""
    total = sum(math.prod(deferred.size) * deferred.storage.dtype.itemsize for deferred in found.values())
    if total > size:
        raise PickleError(f"claims {total:,} bytes of tensors in {size:,} bytes: it is damaged or hostile")
    return {name: deferred.read() for name, deferred in found.items()}


def plain(of: Callable[[memoryview], Storage]) -> Known:
    """The callables of pickled tensors; ``of`` makes a storage of its pickled bytes."""
    return {
        "collections.OrderedDict": _mapping,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch.storage._load_from_bytes": lambda data: of(_bytes(data)),
        "numpy.core.multiarray.scalar": _scalar,
        "numpy._core.multiarray.scalar": _scalar,
        "_codecs.encode": _encoded,
        "builtins.set": _list,
        "__builtin__.set": _list,
    }


def _require_shape(size: Any, stride: Any, offset: Any) -> None:
    numbers = (*size, *stride, offset) if isinstance(size, tuple) and isinstance(stride, tuple) else ("",)
    if not all(type(n) is int and 0 <= n < 2**48 for n in numbers) or len(size) != len(stride):
        raise PickleError("has a tensor whose shape is no list of whole numbers")
    if len(size) > MOST_DIMENSIONS:
        raise PickleError(f"has a tensor of {len(size)} dimensions")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Deferred:
    if not isinstance(storage, Storage):
        raise PickleError("has a tensor without a storage")
    _require_shape(size, stride, offset)
    return Deferred(storage, offset, size, stride)


def _bytes(data: Any) -> memoryview:
    if not isinstance(data, memoryview):
        raise PickleError("has a nested pickle that is not made of bytes")
    return data


def _mapping(*pairs: Any) -> dict[Any, Any]:
    if pairs and pairs != ([],):
        raise PickleError("has a mapping of an unknown form")
    return {}


def _list(*items: Any) -> list[Any]:
    return items[0] if items and isinstance(items[0], list) else []


def _encoded(text: Any, encoding: Any = "latin1") -> memoryview:
    """Bytes, as protocol 2 writes them."""
    if not isinstance(text, str) or encoding != "latin1" or len(text) > LONGEST_CODE:
        raise PickleError("asks for an encoding of text, which no network needs")
    return memoryview(text.encode("latin1"))


def _scalar(dtype: Any, data: Any) -> float | int | bool:
    """A number of NumPy."""
    code = dtype.arguments[0] if isinstance(dtype, Inert) and dtype.of.name == "numpy.dtype" and dtype.arguments else ""
    if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[fiub][1248]", code):
        raise PickleError("has a scalar of NumPy that is no number")
    return cast(float, np.frombuffer(_bytes(data), np.dtype(code))[0].item())
