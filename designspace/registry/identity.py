"""Identities: everything that results depend on, as plain data. Ids and cache keys are hashes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Protocol, Union, get_args, get_origin, runtime_checkable

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.types import PathType

from designspace.errors import DataError
from designspace.registry.known import ROWS
from designspace.storage.files import path_hash


@runtime_checkable
class Identified(Protocol):
    """What this module needs to know about a component."""

    row: ClassVar[str]
    name: ClassVar[str]

    @classmethod
    def origin(cls) -> dict[str, Any]:
        """The part of the identity that comes from the code."""

    def identity(self) -> dict[str, Any]:
        """Everything that the numbers of the component depend on."""


@dataclass(frozen=True)
class Since:
    """Marks a field or row that was added after results existed: ``mode: Annotated[Mode, Since("clean")] = "clean"``.

    ``value`` is what earlier results were computed with; a component is given by its name. A field that has this value
    is left out of the identity, so earlier results keep their ids, even if the default changes later.
    """

    value: Any

    def covers(self, value: Any) -> bool:
        """Whether a field with this value gives the same numbers as before it was added."""
        if self.value is None or not isinstance(value, Identified):
            return bool(value == self.value)
        return _is_first(type(value)) and value == ROWS[value.row].model_validate(self.value)


@dataclass(frozen=True)
class CountsAs:
    """Marks a field that enters the identity as ``of(value)``, such as the source of the code that ``value`` names."""

    of: Callable[[Any], Any]


def identified(spec: BaseModel, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The identities of all fields of ``spec``, or of those in ``names``, except those that ``Since`` leaves out.

    Raises ``DataError``, which tells the field, if a file or folder that a field names cannot be read.
    """
    found = {}
    for name in type(spec).model_fields if names is None else names:
        value, marks = getattr(spec, name), type(spec).model_fields[name].metadata
        if not any(isinstance(mark, Since) and mark.covers(value) for mark in marks):
            of = next((mark.of for mark in marks if isinstance(mark, CountsAs)), identity_of)
            found[name] = _within(name, value, of)
    return found


def built_with(components: Iterable[type[Identified]]) -> dict[str, Any]:
    """The entry for the components that another one uses in its identity: ``{"uses": {"solver/heun": ...}}``.

    Built-in components in their first version are left out, since results exist from before dependencies were declared.
    """
    later = {f"{cls.row}/{cls.name}": cls.origin() for cls in components if not _is_first(cls)}
    return {"uses": later} if later else {}


def _is_first(cls: type[Identified]) -> bool:
    return cls.origin() == {"name": cls.name, "version": 1}


def identity_of(value: Any) -> Any:
    """The identity of a value: a component's own, the hash of what a path leads to, or the JSON of anything else.

    Paths count by their content wherever they stand: in lists, mappings and models, too.
    """
    if isinstance(value, Identified):
        return value.identity()
    if isinstance(value, Path):
        return path_hash(value)
    if isinstance(value, tuple | list):
        return [_within(i, item) for i, item in enumerate(value)]
    if isinstance(value, Set):
        return sorted((identity_of(item) for item in value), key=repr)
    if isinstance(value, BaseModel):
        return identified(value) | identity_of(value.model_extra or {})
    return {str(k): _within(k, v) for k, v in value.items()} if isinstance(value, Mapping) else as_json(value)


def _within(key: str | int, value: Any, of: Callable[[Any], Any] = identity_of) -> Any:
    try:
        return of(value)
    except DataError as error:
        error.within(key)
        raise


def beside(value: Any, folder: Path) -> Any:
    """``value`` with every path in it relative to ``folder``, in lists, mappings and models, too."""
    if isinstance(value, Path):
        return folder / value.expanduser()
    if type(value) in (tuple, list, set, frozenset):
        return type(value)(beside(item, folder) for item in value)
    if isinstance(value, dict):
        return {key: beside(item, folder) for key, item in value.items()}
    if isinstance(value, BaseModel) and not isinstance(value, Identified):  # components have seen to it themselves
        return value.model_copy(update={name: beside(item, folder) for name, item in value})
    return value


def why_not_hashed(field: FieldInfo) -> str:
    """Why files that a field of a component names may not count by their content; empty if they do."""
    if any(isinstance(mark, CountsAs) for mark in field.metadata):
        return ""
    parts = [*_parts(field.annotation), *field.metadata]
    if any(isinstance(part, PathType) for part in parts):
        return "pydantic looks for it in the working directory, not beside the spec: annotate it with Path"
    if any(get_origin(part) in (Union, UnionType) and _text_or_path(get_args(part)) for part in parts):
        return "a file that it names as text does not count: annotate it with Path, not with Path or str"
    return ""


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _text_or_path(options: tuple[Any, ...]) -> bool:
    plain = [get_args(option)[0] if get_origin(option) is Annotated else option for option in options]
    return str in plain and any(isinstance(option, type) and issubclass(option, Path) for option in plain)


def as_json(value: Any) -> Any:
    """A value as JSON, which has no infinity: it becomes the string ``inf``, which pydantic reads as a number."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, BaseModel):
        return {key: as_json(item) for key, item in value.model_dump().items()}
    return str(value) if isinstance(value, Path) else value
