"""The files of PyTorch, read by the interpreter of ``pickles`` instead of PyTorch's own unpickler.

Two formats occur: zip archives, in which each storage is a record, and the format before PyTorch 1.6, five pickles that
are followed by the storages. The latter is also how a pickled tensor holds its storage, for instance in EDM's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch

from designspace.denoising.weights import TORCHSCRIPT
from designspace.importing.tensors import DTYPES, Storage, plain
from designspace.storage.pickled import Known, Label, PickleError, kind_of
from designspace.storage.pickles import Pickle
from designspace.text import first_of

LEGACY = 0x1950A86A20F9469CFC6C
"""The number with which files in the older format of PyTorch begin."""


class Nested:
    """Storages from the bytes of pickled ones, of together at most ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self._left = size

    def __call__(self, data: memoryview) -> Storage:
        self._left -= len(data)
        if self._left < 0:
            raise PickleError("loads the same nested pickle many times, as no checkpoint does: it may be hostile")
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
            raise PickleError(f"has a nested pickle that begins with {kind_of(magic)}, not with a storage")
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
        if missing := wanted.keys() - storages.keys():
            raise PickleError(f"lacks the storage {first_of(sorted(missing), 1)}: it is damaged")
        second = Pickle(self._data[begin:], self._known, lambda reference: storages[_reference(reference)[0]])
        found = second.load()
        self.labels = second.labels
        return found

    def _storages(self, reader: Pickle, wanted: Mapping[str, tuple[torch.dtype, int]]) -> dict[str, Storage]:
        found, keys = {}, reader.load()
        if not isinstance(keys, list) or not all(isinstance(key, str) and key in wanted for key in keys):
            raise PickleError("has storages that no tensor refers to: it is damaged")
        for key in keys:
            dtype, count = wanted[key]
            if (stored := reader.integer(8)) != count:
                raise PickleError(f"has a storage of {stored:,} numbers that should have {count:,}: it is damaged")
            found[key] = Storage(dtype, reader.take(count * dtype.itemsize))
        return found


def content_of(file: Any, data: memoryview, more: Known) -> tuple[Any, set[str]]:
    """The content of a pickle or of a file of ``torch.save`` in either format, and the unknown names in it.

    Args:
        file: The file, opened.
        data: Its bytes.
        more: Callables that the pickle may call, beside those of tensors. Tensors become ``Deferred``.
    """
    known = {**plain(Nested(len(data))), **more}
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
    if not pickled:
        raise PickleError("is a zip archive without data.pkl, so that it is no checkpoint of PyTorch")
    if f"{folder}constants.pkl" in archive.namelist():
        raise PickleError(TORCHSCRIPT)
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
