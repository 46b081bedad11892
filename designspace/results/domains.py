"""The domains of the values in records.

JSON has neither NaN nor infinity, so they are written as null and as the string ``inf``. Every check raises a
``ValueError`` that quotes the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator

LARGEST = 1e100
"""The largest absolute value of a finite number: squares of larger ones overflow."""
MOST = 2**53
"""The largest count: larger integers cannot all be represented as floats."""
LONGEST = 1000
"""The largest size of an integer on an axis, in bits; larger ones would not fit into a float for plotting."""


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _number(value: Any) -> float | int | None:
    """The value as an int or a float; ``None`` if it is neither (true and false are not numbers)."""
    if type(value) is float or type(value) is int:
        return value
    if value in ("inf", "-inf"):
        return float(str(value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return int(value) if isinstance(value, Integral) else float(value)


def _finite(least: float, words: str) -> Callable[[Any], float | int]:
    def check(value: Any) -> float | int:
        found = _number(value)
        if found is None or not least <= found <= LARGEST:  # false for NaN
            raise ValueError(f"{_quoted(value)} is not {words}")
        return found

    return check


def _whole(least: int, words: str) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        found = _number(value)
        if not isinstance(found, int) or not least <= found <= MOST:
            raise ValueError(f"{_quoted(value)} is not {words}")
        return found

    return check


def _or_missing(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None or value != value else check(value)


def _any(value: Any) -> float:
    found = math.nan if value is None else _number(value)
    if found is None or LARGEST < abs(found) < math.inf:
        raise ValueError(f"{_quoted(value)} is not a number between {-LARGEST:g} and {LARGEST:g}, inf, -inf or null")
    return float(found)


def _spread(value: Any) -> float:
    found = _number(value)
    if found is None or not (0 <= found <= LARGEST or found == math.inf):
        raise ValueError(f"{_quoted(value)} is not a number of at least 0")
    return found


def _positive(value: Any) -> float | int:
    if not (found := _not_negative(value)):
        raise ValueError(f"{_quoted(value)} is not a finite number above 0")
    return found


def _levels(value: Any) -> list[float]:
    if not isinstance(value, list):
        raise ValueError(f"{_quoted(value)} is not a list of noise levels")
    levels = [_any(level) for level in value]
    if wrong := [level for level in levels if level < 0]:
        raise ValueError(f"the noise level {wrong[0]} is negative")
    return levels


def _seconds(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{_quoted(value)} is not an object")
    return {name: float(_not_negative(seconds)) for name, seconds in value.items()}


def _part(value: Any) -> Any:
    if not isinstance(value, dict | None):
        raise ValueError(f"{_quoted(value)} is not an object")
    return value


def _spec(value: Any) -> Any:
    for name in ("design", "evaluate"):
        _part((_part(value) or {}).get(name))
    return value


def _profile(value: Any) -> Any:
    columns = [column for column in (_part(value) or {}).values() if not isinstance(column, str)]
    if not all(isinstance(column, list) for column in columns):
        raise ValueError("not columns of numbers")
    if len({len([_any(number) for number in column]) for column in columns}) > 1:
        raise ValueError("columns of different lengths")
    return value


def _plain_values(axes: dict[str, Any]) -> dict[str, Any]:
    for axis, value in axes.items():
        if not isinstance(value, str | int | float) or (isinstance(value, int) and value.bit_length() > LONGEST):
            raise ValueError(f"the value of axis '{axis}' is not text, a number, true or false")
    return axes


_not_negative = _finite(0, "a finite number of at least 0")

Number = Annotated[float, PlainValidator(_any)]
"""A number, which may be NaN or infinite."""
OptionalNumber = Annotated[float | None, PlainValidator(lambda value: None if value is None else _any(value))]
"""A number that was not always recorded."""
Offset = Annotated[float | None, PlainValidator(_or_missing(_finite(-LARGEST, "a finite number")))]
"""A finite number; ``None`` if it is unknown, which NaN means as well."""
Spread = Annotated[float | None, PlainValidator(_or_missing(_spread))]
"""A standard error or deviation of at least 0, infinite for values that are; ``None``, or NaN, if it is unknown."""
Count = Annotated[int, PlainValidator(_whole(1, "a whole number of at least 1"))]
OptionalCount = Annotated[int | None, PlainValidator(_or_missing(_whole(1, "a whole number of at least 1")))]
Seed = Annotated[int, PlainValidator(_whole(-MOST, "a whole number"))]
OptionalSeed = Annotated[int | None, PlainValidator(_or_missing(_whole(-MOST, "a whole number")))]
Evaluations = Annotated[int | float, PlainValidator(_positive)]
"""A number of evaluations per image, which is a mean over the images if it is not whole."""
FurtherEvaluations = Annotated[int | float, PlainValidator(_not_negative)]
"""A number of evaluations that may be 0."""
Levels = Annotated[list[float] | None, PlainValidator(lambda value: None if value is None else _levels(value))]
Seconds = Annotated[dict[str, float] | None, PlainValidator(lambda value: None if value is None else _seconds(value))]

Axes = Annotated[dict[str, Any], AfterValidator(_plain_values)]
"""The values of a point's axes: text, numbers, true and false. Infinity is the string ``inf``."""
Spec = Annotated[dict[str, Any] | None, PlainValidator(_spec)]
"""A resolved spec. Like the other objects here, it is not copied, so that records can share equal ones."""
Part = Annotated[dict[str, Any] | None, PlainValidator(_part)]
"""A JSON object."""
Profile = Annotated[dict[str, Any] | None, PlainValidator(_profile)]
"""Columns of numbers of equal length, and texts."""
