"""Wording pydantic's errors for the author of a YAML file or of a call."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from designspace.errors import DocPath, Kind, Problem


def problems_of(error: ValidationError, path: DocPath = ()) -> list[Problem]:
    """The problems that pydantic found in the value at ``path``."""
    return [problem_at((*path, *details["loc"]), details) for details in error.errors()]


def problem_at(path: DocPath, error: ErrorDetails) -> Problem:
    """One of pydantic's errors as a problem with the value at ``path``."""
    kind = _KINDS.get(error["type"], Kind.VALUE)
    return Problem(worded(error), path, kind, key=kind is Kind.UNKNOWN_FIELD)


def worded(error: ErrorDetails) -> str:
    """One of pydantic's errors as a statement about the value: ``should be greater than 0, not -1``."""
    context = error.get("ctx", {})
    if "error" in context:  # a validator raised it
        return str(context["error"])
    if error["type"] not in _WORDS:
        return error["msg"]
    text = _WORDS[error["type"]].format_map({name: _number(value) for name, value in context.items()})
    says_what_it_is = error["type"] != "missing" and isinstance(error["input"], str | int | float | None)
    return f"{text}, not {_shortened(repr(error['input']))}" if says_what_it_is else text


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _number(value: Any) -> Any:
    return f"{value:.12g}" if isinstance(value, float) else value


LONGEST = 80
"""The largest number of characters of a wrong value that a message repeats."""
_KINDS = {
    "missing": Kind.MISSING,
    "extra_forbidden": Kind.UNKNOWN_FIELD,
    "unknown_component": Kind.UNKNOWN_COMPONENT,
}
_WORDS = {
    "missing": "is missing",
    **dict.fromkeys(("list_type", "tuple_type"), "should be a list"),
    **dict.fromkeys(("dict_type", "model_type", "mapping_type"), "should be a mapping"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "should be true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "should be an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "should be a number"),
    "finite_number": "should be a finite number",
    "string_type": "should be text",
    "string_pattern_mismatch": "should match the pattern {pattern}",
    "path_type": "should be a path",
    "invalid-json-value": "should be a number, text, a list or a mapping",
    "literal_error": "should be {expected}",
    "greater_than": "should be greater than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "multiple_of": "should be a multiple of {multiple_of}",
    "too_short": "should have {min_length} or more items",
    "too_long": "should have {max_length} or fewer items",
}
