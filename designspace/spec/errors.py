"""Errors for the author of a YAML file: where, what, did you mean; all of a file at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

DocPath = tuple[str | int, ...]
"""The keys and list positions that lead to a value of the YAML."""


class BadValueError(ValueError):
    """A value of the YAML, at ``place``, that cannot be used."""

    def __init__(self, place: DocPath, what: str, *, key: bool = False) -> None:
        super().__init__(what)
        self.place, self.key = place, key


def dotted(path: Iterable[str | int]) -> str:
    """``grid.solver.1``."""
    return ".".join(map(str, path))


def what(error: ErrorDetails) -> str:
    """The text of one of pydantic's errors, as a sentence about the value: ``should be greater than 0, not -1``."""
    text = re.sub(r"^(Input|Value|String|Tuple|List|Dictionary)( error,)? (?=should|has)", "", error["msg"])
    text = text.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    for long, short in _SHORT.items():
        text = text.replace(long, short)
    text = _PLAIN.get(error["type"], re.split(", (?:got|unable) ", text)[0])
    if text.startswith("should be") and isinstance(error["input"], str | int | float | None) and "not " not in text:
        text += f", not {error['input']!r}"
    return text


_SHORT = {" after validation": "", "greater than or equal to": "at least", "less than or equal to": "at most"}
_PLAIN = {
    "missing": "is missing",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "string_type": "should be text",
}


def table(value: Any) -> bool:
    """Whether a value of the YAML is a mapping that changes fields, rather than one that names a whole thing."""
    return isinstance(value, Mapping) and not {"name", "preset"} & set(value)
