"""Tables of images as the libraries of Hugging Face write them: a column of encoded images and a column of labels."""

from __future__ import annotations

import io
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from designspace.data.decode import Pixels, decode, file_format, fitted
from designspace.data.files import require_size_of_an_image
from designspace.data.gather import Gathered, Series
from designspace.data.images import MOST_CLASSES, Images
from designspace.data.limits import require_room
from designspace.data.rows import Files
from designspace.errors import DataError, brief
from designspace.storage.files import content_key, file_hash, reading
from designspace.text import did_you_mean

IMAGE, LABEL = ("image", "img"), ("label", "labels", "fine_label")
"""The names that columns of images and of labels usually have."""
NO_LABEL = "none"
"""The value of the field ``label`` with which no labels are read."""
Column = Annotated[str, Field(min_length=1)]


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


class Table(Gathered):
    """A data set in a table with a column of encoded images and, if there are classes, a column of labels."""

    image: Column | None = None
    label: Column | None = None
    split: Column | None = None

    @abstractmethod
    def paths(self) -> list[Path]:
        """The files of the table in their order."""

    @abstractmethod
    def part(self, path: Path) -> Part:
        """One of the files, opened. Errors of pyarrow are turned into ``DataError`` by the caller."""

    def files_hash(self) -> str:
        """The sha256 of the contents of the files in their order, and of the names of columns that are given."""
        given = {key: value for key in ("image", "label") if (value := getattr(self, key)) is not None}
        return content_key([file_hash(path) for path in self.paths()], given)

    def load(self) -> Images:
        parts = self._parts()
        image, label = self._columns(parts[0])
        for part in parts:
            _require_types(part, image, label)
        labels, classes = (None, ()) if label is None else _labels(parts, label)
        where, rows = _where(parts), sum(part.rows for part in parts)
        series = Series(where, rows, self._images(parts, image), lambda: sum(part.stored for part in parts))
        return Images(self.gathered(series), labels, classes)

    def files_read(self) -> Files:
        return _formats(self, self.content_hash())

    def contents(self) -> Iterator[bytes]:
        """The encoded images one after another."""
        parts = self._parts()
        image, _ = self._columns(parts[0])
        for part in parts:
            for _, content in _encoded(part, image):
                yield content

    def _parts(self) -> list[Part]:
        found = []
        for path in self.paths():
            with reading(path), arrow_errors(path):
                found.append(self.part(path))
        return found

    def _images(self, parts: list[Part], image: str) -> Iterator[tuple[str, Callable[[], Pixels]]]:
        for part in parts:
            file = f"{part.path.name}, " if len(parts) > 1 else ""
            for row, content in _encoded(part, image):
                yield f"{file}row {row}", partial(self._pixels, content)

    def _pixels(self, content: bytes) -> Pixels:
        return fitted(decode(content), self.size, self.crop)

    def _columns(self, part: Part) -> tuple[str, str | None]:
        """The names of the columns of images and of labels; ``None`` without labels."""
        image = self._named("image", self.image, IMAGE, part)
        if image is None:
            candidates = [name for name in part.schema.names if _is_encoded(part.schema.field(name).type)]
            if len(candidates) != 1:
                what = "no column of images" if not candidates else f"images may be {' or '.join(candidates)}"
                raise DataError(f"{part.path}: {what}; give its name, `image: NAME`. {_described(part)}")
            image = candidates[0]
        label = None if self.label == NO_LABEL else self._named("label", self.label, LABEL, part)
        return image, label

    def _named(self, field: str, given: str | None, usual: tuple[str, ...], part: Part) -> str | None:
        names = list(part.schema.names)
        if given is not None and given not in names:
            guess = did_you_mean(given, names)
            raise DataError(f"{part.path}: no column '{given}'.{guess} {_described(part)}")
        wanted = [given] if given else usual
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise DataError(f"{part.path}: {names.count(twice[0])} columns are called '{twice[0]}'")
        found = [name for name in wanted if name in names]
        if len(found) > 1:
            raise DataError(f"{part.path}: {field}s may be {' or '.join(found)}: give one, `{field}: {found[0]}`")
        return found[0] if found else None


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


def chosen_split(where: Path, splits: Iterable[str], split: str | None) -> str:
    """``split``, or the only one of ``splits``. Raises ``DataError`` if it is not one of them, or if none is chosen."""
    known = sorted(set(splits))
    if split is None and len(known) == 1:
        return known[0]
    if split not in known:
        which = "give one" if split is None else f"there is no '{split}'"
        example = "train" if "train" in known or not known else known[0]
        raise DataError(f"{where} has the splits {', '.join(known) or 'none'}: {which}, `split: {example}`")
    return split


def _where(parts: list[Part]) -> Path:
    """The only file, or the folder of all files, which errors name."""
    return parts[0].path if len(parts) == 1 else parts[0].path.parent


@lru_cache(maxsize=8)
def _formats(table: Table, content: str) -> Files:
    """The formats of the images by their first bytes; ``content`` is the hash of what the files hold."""
    formats = Counter(file_format(io.BytesIO(each)) for each in table.contents())
    return Files(dict(sorted(formats.items())), {})


def _described(part: Part) -> str:
    schema = part.schema
    columns = ", ".join(f"{name} ({schema.field(k).type})" for k, name in enumerate(schema.names[:20]))
    more = f" and {len(schema.names) - 20} more" if len(schema.names) > 20 else ""
    return f"Columns: {columns or 'none'}{more}"


def _require_types(part: Part, image: str, label: str | None) -> None:
    for name in filter(None, (image, label)):
        if part.schema.names.count(name) != 1:
            raise DataError(f"{part.path}: no column '{name}', unlike the first file. {_described(part)}")
    if not _is_encoded(kind := part.schema.field(image).type):
        wanted = "encoded images: binary, or a struct with `bytes`"
        raise DataError(f"{part.path}: column '{image}' is {kind}, not {wanted}. {_described(part)}")
    if label and not _is_label(kind := part.schema.field(label).type):
        advice = "convert it, name another column with `label`, or use `label: none`"
        raise DataError(f"{part.path}: column '{label}' is {kind}, not integers or text; {advice}")


def _is_encoded(kind: Any) -> bool:
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


def _encoded(part: Part, column: str) -> Iterator[tuple[int, bytes]]:
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


def _labels(parts: list[Part], column: str) -> tuple[Tensor, tuple[str, ...]]:
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
