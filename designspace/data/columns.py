"""Columns of tables that are read by pyarrow: encoded images, and labels with the names of their classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designspace.data.files import require_size_of_an_image
from designspace.data.images import MOST_CLASSES
from designspace.data.limits import require_room
from designspace.errors import DataError, brief
from designspace.storage.files import reading


@dataclass(frozen=True)
class Part:
    """One of the files of a table."""

    path: Path
    schema: Any
    """The ``pyarrow.Schema``."""
    rows: int
    stored: int
    """The size of the file in bytes."""
    column: Callable[[str], Iterator[Any]]
    """The values of a column, as ``pyarrow`` arrays that follow each other."""


def arrow() -> ModuleType:
    """The module ``pyarrow``. Raises ``DataError`` if it is not installed."""
    try:
        import pyarrow  # imported here because it is an extra
    except ImportError as error:
        raise DataError("data parquet and hf need pyarrow: pip install 'designspace[hf]'") from error
    return pyarrow  # type: ignore[no-any-return]


@contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow raises on damaged files into a ``DataError`` that names the file."""
    try:
        yield
    except (DataError, GeneratorExit):
        raise
    except Exception as error:
        raise DataError(f"{path} cannot be read: {brief(error)}") from error


def described_columns(part: Part) -> str:
    """The columns of a table with their types, for messages."""
    schema = part.schema
    columns = ", ".join(f"{name} ({schema.field(k).type})" for k, name in enumerate(schema.names[:20]))
    more = f" and {len(schema.names) - 20} more" if len(schema.names) > 20 else ""
    return f"Columns: {columns or 'none'}{more}"


def require_types(part: Part, image: str, label: str | None) -> None:
    """Raise ``DataError`` unless the columns exist and hold encoded images and labels."""
    for name in filter(None, (image, label)):
        if part.schema.names.count(name) != 1:
            raise DataError(f"{part.path}: no column '{name}', unlike the first file. {described_columns(part)}")
    if not is_encoded(kind := part.schema.field(image).type):
        wanted = "encoded images: binary, or a struct with `bytes`"
        raise DataError(f"{part.path}: column '{image}' is {kind}, not {wanted}. {described_columns(part)}")
    if label and not _is_label(kind := part.schema.field(label).type):
        advice = "convert it, name another column with `label`, or use `label: none`"
        raise DataError(f"{part.path}: column '{label}' is {kind}, not integers or text; {advice}")


def is_encoded(kind: Any) -> bool:
    """Whether a column of this type may hold encoded images."""
    types = arrow().types
    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    types = arrow().types
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_text(kind: Any) -> bool:
    types = arrow().types
    plain = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(plain) or types.is_large_string(plain))


def _is_label(kind: Any) -> bool:
    return bool(arrow().types.is_integer(kind)) or _is_text(kind)


def _values(part: Part, column: str) -> Iterator[tuple[int, Any]]:
    """The number of the first row and the values of each batch of a column, checked against their buffers."""
    row = 0
    with reading(part.path), arrow_errors(part.path):
        for values in part.column(column):
            values.validate(full=True)
            yield row, values
            row += len(values)
    if row != part.rows:
        raise DataError(f"{part.path} has {row} rows where it states {part.rows}; copy it again")


def encoded(part: Part, column: str) -> Iterator[tuple[int, bytes]]:
    """The number of each row and the content of its image. Raises ``DataError`` where there is none."""
    for first, values in _values(part, column):
        for row, value in enumerate(values, first):
            content = value["bytes"] if value.is_valid and hasattr(value, "keys") else value
            if not content.is_valid:
                why = "has no image"
                if value.is_valid:
                    where = value["path"].as_py() if "path" in value else None
                    why = f"has only the path of an image ({where}): save the data set with its images, not with paths"
                raise DataError(f"{part.path}: row {row} {why}")
            buffer = content.as_buffer()
            require_size_of_an_image(f"{part.path}: row {row}", buffer.size)
            yield row, buffer.to_pybytes()


def labels_of(parts: list[Part], column: str) -> tuple[Tensor, tuple[str, ...]]:
    """The label of each row, and the names of the classes: from the metadata, texts in sorted order, or numbers."""
    require_room(8 * sum(part.rows for part in parts), parts[0].path)
    text = {_is_text(part.schema.field(column).type) for part in parts}
    if len(text) > 1:
        raise DataError(f"{parts[0].path.parent}: column '{column}' holds text in some files and numbers in others")
    if text == {True}:
        return _of_text(parts, column)
    found = np.concatenate([batch for part in parts for batch in _numbers(part, column)])
    names = _names(parts[0].schema, column)
    fit = len(names) > found.max(initial=0)
    return torch.from_numpy(found), names if fit else tuple(map(str, range(int(found.max(initial=0)) + 1)))


def _numbers(part: Part, column: str) -> Iterator[NDArray[np.int64]]:
    pyarrow = arrow()
    for first, values in _values(part, column):
        _require_labels(part, column, first, values)
        array = values.cast(pyarrow.int64(), safe=False).to_numpy(zero_copy_only=False)
        wrong = (array < 0) | (array >= MOST_CLASSES)
        if wrong.any():
            row = int(wrong.argmax())
            what = f"row {first + row} has {column} {values[row]}"
            advice = f"class numbers must be 0, 1, ... below {MOST_CLASSES}; `label: none` reads no labels"
            raise DataError(f"{part.path}: {what}; {advice}")
        yield array


def _of_text(parts: list[Part], column: str) -> tuple[Tensor, tuple[str, ...]]:
    numbers: dict[str, int] = {}
    found = []
    for part in parts:
        for first, values in _values(part, column):
            _require_labels(part, column, first, values)
            found += [numbers.setdefault(value, len(numbers)) for value in values.to_pylist()]
            if len(numbers) > MOST_CLASSES:
                raise DataError(f"{part.path}: column '{column}' has more than {MOST_CLASSES} different texts")
    names = tuple(sorted(numbers))
    place = {numbers[name]: k for k, name in enumerate(names)}
    return torch.tensor([place[number] for number in found], dtype=torch.int64), names


def _require_labels(part: Part, column: str, first: int, values: Any) -> None:
    if values.null_count:
        row = first + values.is_null().to_pylist().index(True)
        raise DataError(f"{part.path}: row {row} has no {column}; `label: none` reads no labels")


def _names(schema: Any, column: str) -> tuple[str, ...]:
    """The names of the classes in the metadata that the library ``datasets`` adds; empty if there are none."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    plain = isinstance(names, list) and len(names) <= MOST_CLASSES and all(isinstance(name, str) for name in names)
    return tuple(names) if plain else ()
