"""Tables of images as the libraries of Hugging Face write them: a column of encoded images and a column of labels."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from designspace.data.columns import (
    Part,
    arrow_errors,
    described_columns,
    encoded,
    is_encoded,
    labels_of,
    require_types,
)
from designspace.data.decode import Pixels, decode, file_format, fitted
from designspace.data.gather import Gathered, Series
from designspace.data.images import Images
from designspace.data.rows import Files
from designspace.errors import DataError
from designspace.storage.files import content_key, file_hash, reading
from designspace.text import did_you_mean

IMAGE, LABEL = ("image", "img"), ("label", "labels", "fine_label")
"""The names that columns of images and of labels usually have."""
NO_LABEL = "none"
"""The value of the field ``label`` with which no labels are read."""
Column = Annotated[str, Field(min_length=1)]


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
            require_types(part, image, label)
        labels, classes = (None, ()) if label is None else labels_of(parts, label)
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
            for _, content in encoded(part, image):
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
            for row, content in encoded(part, image):
                yield f"{file}row {row}", partial(self._pixels, content)

    def _pixels(self, content: bytes) -> Pixels:
        return fitted(decode(content), self.size, self.crop)

    def _columns(self, part: Part) -> tuple[str, str | None]:
        """The names of the columns of images and of labels; ``None`` without labels."""
        image = self._named("image", self.image, IMAGE, part)
        if image is None:
            candidates = [name for name in part.schema.names if is_encoded(part.schema.field(name).type)]
            if len(candidates) != 1:
                what = "no column of images" if not candidates else f"images may be {' or '.join(candidates)}"
                raise DataError(f"{part.path}: {what}; give its name, `image: NAME`. {described_columns(part)}")
            image = candidates[0]
        label = None if self.label == NO_LABEL else self._named("label", self.label, LABEL, part)
        return image, label

    def _named(self, field: str, given: str | None, usual: tuple[str, ...], part: Part) -> str | None:
        names = list(part.schema.names)
        if given is not None and given not in names:
            guess = did_you_mean(given, names)
            raise DataError(f"{part.path}: no column '{given}'.{guess} {described_columns(part)}")
        wanted = [given] if given else usual
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise DataError(f"{part.path}: {names.count(twice[0])} columns are called '{twice[0]}'")
        found = [name for name in wanted if name in names]
        if len(found) > 1:
            raise DataError(f"{part.path}: {field}s may be {' or '.join(found)}: give one, `{field}: {found[0]}`")
        return found[0] if found else None


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
