"""Callables by name, ``package.module:callable`` or ``./file.py:callable``, and the arguments a spec gives them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, JsonValue, model_validator

from designspace.component import FOLDER, Spec, did_you_mean
from designspace.discovery import import_file
from designspace.images import DataError, file_hash
from designspace.spec.errors import brief


class Arguments(Spec):
    """Keyword arguments: any names, with plain values (JSON), so that a spec with them can be stored."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    @model_validator(mode="after")
    def _finite(self) -> Self:
        try:
            json.dumps(self.model_dump(), allow_nan=False)
        except ValueError:
            raise ValueError("should be finite numbers, text, lists and mappings") from None
        return self


def _beside_the_spec(factory: str) -> str:
    if not re.fullmatch(r"[^:].*:[^\W\d]\w*", factory):
        raise ValueError(f"should be package.module:callable or ./file.py:callable, not {factory!r}")
    place, name = _parts(factory)
    folder = FOLDER.get()
    return f"{folder / Path(place).expanduser()}:{name}" if folder and place.endswith(".py") else factory


Factory = Annotated[str, AfterValidator(_beside_the_spec)]
"""The name of a callable; a file is relative to the spec that names it."""


def find(factory: str) -> Any:
    """Import the callable called ``factory``. Raises ``DataError`` if it is not there or its module fails."""
    content(factory)  # says best what is missing
    place, name = _parts(factory)
    module = _module(place)
    found = getattr(module, name, None)
    if not callable(found):
        known = [other for other, value in vars(module).items() if callable(value)]
        raise DataError(f"{place} has no callable '{name}'.{did_you_mean(name, known)}")
    return found


def content(factory: str) -> list[str]:
    """The sha256 of the source file, wherever it lies, and the callable's name; nothing is run but parent packages.

    Raises ``DataError`` if there is no such module.
    """
    place, name = _parts(factory)
    source = _source(place)
    return [file_hash(source) if source else place, name]


def _parts(factory: str) -> tuple[str, str]:
    place, _, name = factory.rpartition(":")
    return place, name


def _module(place: str) -> ModuleType:
    try:
        return import_file(Path(place).resolve()) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise DataError(f"{place} cannot be imported: {brief(error)}") from error


def _source(place: str) -> Path | None:
    if place.endswith(".py"):
        return Path(place)
    try:
        spec = importlib.util.find_spec(place)
    except Exception as error:
        raise DataError(f"{place} cannot be imported: {brief(error)}") from error
    if spec is None:
        raise DataError(f"there is no module '{place}': install it, or name a file, ./{place.split('.')[-1]}.py")
    return Path(spec.origin) if spec.origin and spec.has_location else None
