"""Tensors in the files of PyTorch, read by the interpreter of ``pickles`` instead of PyTorch's own unpickler.

Two formats occur: zip archives, in which each storage is a record, and the format before PyTorch 1.6, five pickles that
are followed by the storages. The latter is also how a pickled tensor holds its storage, for instance in EDM's files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import torch
from torch import Tensor

from designspace.importing.pickles import Inert, Known, Label, Pickle, PickleError

LEGACY = 0x1950A86A20F9469CFC6C
"""The number with which files in the older format of PyTorch begin."""
DTYPES = {
    **{"FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16},
    **{"BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32},
    **{"ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool},
}
MOST_DIMENSIONS = 16


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


def from_bytes(data: memoryview) -> Storage:
    """A storage from the bytes of a pickled one."""
    found = Legacy(data, {}).load()
    if not isinstance(found, Storage):
        raise PickleError("has a nested pickle that is not a storage, as no checkpoint does: it may be hostile")
    return found


class Legacy:
    """A file in the format before PyTorch 1.6: the storages follow the pickle that refers to them."""

    def __init__(self, data: memoryview, known: Known) -> None:
        self._data, self._known = data, known
        self.labels = set[str]()

    def load(self) -> Any:
        reader = Pickle(self._data, {}, None)
        if (magic := reader.load()) != LEGACY:
            raise PickleError(f"has a nested pickle that begins with {type(magic).__name__}, not with a storage")
        version, _ = reader.load(), reader.load()
        if version != 1001:
            raise PickleError("is of an unknown version of PyTorch's format")
        begin, wanted = reader.at, dict[str, tuple[torch.dtype, int]]()

        def note(reference: Any) -> Storage:
            key, dtype, count = _reference(reference)
            wanted[key] = dtype, count
            return Storage(dtype, memoryview(b""))

        first = Pickle(self._data[begin:], _names_only(self._known), note)
        first.load()
        reader.take(first.at)
        storages = self._storages(reader, wanted)
        second = Pickle(self._data[begin:], self._known, lambda reference: storages[_reference(reference)[0]])
        found = second.load()
        self.labels = second.labels
        return found

    def _storages(self, reader: Pickle, wanted: Mapping[str, tuple[torch.dtype, int]]) -> dict[str, Storage]:
        found = {}
        for key in reader.load():
            dtype, count = wanted[str(key)]
            if (stored := reader.integer(8)) != count:
                raise PickleError(f"has a storage of {stored:,} numbers that should have {count:,}: it is damaged")
            found[str(key)] = Storage(dtype, reader.take(count * dtype.itemsize))
        return found


def content_of(file: Any, data: memoryview, more: Known) -> tuple[Any, set[str]]:
    """The content of a pickle or of a file of ``torch.save`` in either format, and the unknown names in it.

    Args:
        file: The file, opened.
        data: Its bytes.
        more: Callables that the pickle may call, beside those of tensors. Tensors become ``Deferred``.
    """
    known = {**plain(from_bytes), **more}
    if bytes(data[:4]) == b"PK\x03\x04":
        try:
            with ZipFile(file) as archive:
                return _from_zip(archive, known, len(data))
        except (BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
            raise PickleError(f"is a damaged checkpoint of PyTorch, perhaps cut off: {error}") from error
    reader = Pickle(data, known)
    found = reader.load()
    if isinstance(found, int) and found == LEGACY:
        legacy = Legacy(data, known)
        return legacy.load(), legacy.labels
    return found, reader.labels


def _from_zip(archive: ZipFile, known: Known, size: int) -> tuple[Any, set[str]]:
    pickled = next((name for name in archive.namelist() if name.endswith("data.pkl")), "")
    folder = pickled.removesuffix("data.pkl")
    if sum(member.file_size for member in archive.infolist()) > size:
        raise PickleError("is an archive that claims to hold more than it does: it is damaged or hostile")
    for member in archive.infolist():
        if member.compress_type != ZIP_STORED:
            raise PickleError("is a compressed archive, which PyTorch does not write: unpack it and save it again")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder").strip() == b"big":
        raise PickleError("holds big-endian numbers: save it again on another machine")
    found = dict[str, Storage]()

    def storage(reference: Any) -> Storage:
        key, dtype, count = _reference(reference)
        if key not in found:
            data = archive.read(f"{folder}data/{key}")
            if len(data) != count * dtype.itemsize:
                raise PickleError(f"has a storage of {len(data):,} bytes that should have {count:,} numbers")
            found[key] = Storage(dtype, memoryview(data))
        return found[key]

    reader = Pickle(memoryview(archive.read(pickled)), known, storage)
    return reader.load(), reader.labels


def _names_only(known: Known) -> Known:
    """``known`` without the callables, for reading a pickle before its storages are."""
    return dict.fromkeys([*known, "torch._utils._rebuild_tensor_v2"], lambda *_: {})


def _reference(reference: Any) -> tuple[str, torch.dtype, int]:
    """The key, type and length in a persistent id of PyTorch: ``("storage", type, key, location, length, ...)``."""
    if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
        raise PickleError("has persistent ids that are not storages of PyTorch")
    label, key, count = reference[1], reference[2], reference[4]
    kind = label.name.removeprefix("torch.").removeprefix("cuda.") if isinstance(label, Label) else ""
    views = reference[5:] not in ((), (None,))
    if kind not in DTYPES or not isinstance(key, str) or not isinstance(count, int) or count < 0 or views:
        raise PickleError("has a storage of an unknown type")
    return key, DTYPES[kind], count


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
    if not isinstance(text, str) or encoding != "latin1":
        raise PickleError("asks for an encoding of text")
    return memoryview(text.encode("latin1"))


def _scalar(dtype: Any, data: Any) -> float | int | bool:
    """A number of NumPy."""
    code = dtype.arguments[0] if isinstance(dtype, Inert) and dtype.of.name == "numpy.dtype" and dtype.arguments else ""
    if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[fiub][1248]", code):
        raise PickleError("has a scalar of NumPy that is no number")
    return cast(float, np.frombuffer(_bytes(data), np.dtype(code))[0].item())
