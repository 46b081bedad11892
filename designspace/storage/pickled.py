"""The plain values that ``pickles`` makes of a pickle, and the names that it refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from designspace.errors import DataError
from designspace.text import clean, few

LARGEST_KEY = 2**60
DATA_MODULES = {"argparse", "array", "collections", "copyreg", "datetime", "decimal", "enum", "fractions", "pathlib"}
"""Modules of the standard library whose classes only hold data, so that files of data may well name them."""
DATA_MODULES |= {"typing", "uuid", "zoneinfo"}
DATA_TYPES = {"bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set"}
DATA_TYPES |= {"slice", "str", "tuple", "bool"}
BUILTINS = ("builtins", "__builtin__")

Known = Mapping[str, Callable[..., Any]]
"""The callables that a pickle may call, by their dotted names. They check their arguments, which the pickle gives."""


class PickleError(DataError):
    """A pickle that cannot be read or that is refused; the message completes a sentence about the file."""


@dataclass(frozen=True)
class Label:
    """A global name in a pickle. Nothing is imported for it."""

    name: str


@dataclass(eq=False)
class Inert:
    """What a pickle makes of a name that is not known: the arguments, the state and the items given to it."""

    of: Label
    arguments: Any
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    parts: list[Any] = field(default_factory=list)


def require_harmless(module: str, name: str) -> None:
    """Raise ``PickleError`` for a name of the standard library that is no type of data: it could run something."""
    top = module.partition(".")[0]
    standard = top in sys.stdlib_module_names and top not in DATA_MODULES
    refused = name not in DATA_TYPES if top in BUILTINS else standard
    if refused:
        raise PickleError(f"asks for {clean(f'{module}.{name}', 100)}, which no data need: it may be hostile")


def require_key(key: Any) -> Any:
    """``key``, if it is a plain value: other keys could be made such that their hashes take any time or are equal."""
    if not isinstance(key, str | int | float | None) or (isinstance(key, int) and abs(key) >= LARGEST_KEY):
        raise PickleError(f"has a mapping with {kind_of(key)} as a key")
    return key


def kind_of(value: Any) -> str:
    """What a value is, in a few words for a message."""
    if isinstance(value, Label | Inert):
        label = value if isinstance(value, Label) else value.of
        return clean(label.name, 100)
    name = type(value).__name__.lower()
    return {"deferred": "a tensor", "memoryview": "bytes", "nonetype": "nothing"}.get(name, f"a value of type {name}")


def left_out(labels: Collection[str]) -> list[str]:
    """A note on the objects in a file that mean nothing here."""
    names = sorted(label for label in labels if not label.startswith("torch."))
    return [f"objects of {few(names)} were left out"] if names else []
