"""Points of the grid, named by values of some of their axes: in claims, and on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from designspace.spec.axes import label_of
from designspace.spec.errors import BadValueError, DocPath
from designspace.spec.paths import axis_name
from designspace.spec.trial import Label
from designspace.text import did_you_mean

Value = Annotated[Label, BeforeValidator(label_of), WithJsonSchema({})]
Axes = dict[str, Value]
"""Values of axes: they stand for all points that have them."""


def known_as(axes: Mapping[str, Any], points: Sequence[Axes], place: DocPath) -> Axes:
    """``axes`` with the names and values that ``points`` have. Raises ``BadValueError`` if no point has them."""
    named: Axes = {}
    for key, value in axes.items():
        name = known_axis(key, points, (*place, key))
        named[name] = known_value(name, value, points, (*place, key))
    if not any(named.items() <= point.items() for point in points):
        raise BadValueError(place, f"no point has {listed(named)} together")
    return named


def known_axis(axis: str, points: Sequence[Axes], place: DocPath, *, key: bool = True) -> str:
    """``axis`` as ``points`` name it. Raises ``BadValueError`` if they have no such axis."""
    name, columns = axis_name(axis), list(points[0])
    if name not in columns:
        text = f"there is no axis '{axis}'.{did_you_mean(axis, columns)} Axes: {', '.join(columns) or 'none'}."
        raise BadValueError(place, text, key=key)
    return name


def known_value(name: str, value: Any, points: Sequence[Axes], place: DocPath) -> Label:
    """``value`` as it is written in the axis ``name`` of ``points``. Raises ``BadValueError`` if no point has it."""
    values = list(dict.fromkeys(point[name] for point in points))
    same = [known for known in values if known == value and isinstance(known, bool) == isinstance(value, bool)]
    if not same:
        text = f"no point has {name} = {value!r}.{_nearest(value, values)} Values: {', '.join(map(str, values))}."
        raise BadValueError(place, text)
    return same[0]


def listed(axes: Axes) -> str:
    """``solver = heun, nfe = 7``."""
    return ", ".join(f"{name} = {value}" for name, value in axes.items())


def _nearest(value: Any, values: list[Label]) -> str:
    numbers = [known for known in values if isinstance(known, int | float) and not isinstance(known, bool)]
    if isinstance(value, int | float) and numbers:
        return f" Did you mean {min(numbers, key=lambda known: abs(known - value))}?"
    return did_you_mean(value, values)
