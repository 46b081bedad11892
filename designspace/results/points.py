"""Selecting points of a grid by the values of some of their axes, as claims and the command line do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from designspace.errors import DocPath, Kind, Problem, SpecError
from designspace.text import did_you_mean

Value = bool | int | float | str
Axes = Mapping[str, Value]
VARIANT = "variant"
"""The axis of ``one_at_a_time``."""


def known_as(axes: Mapping[str, Any], points: Sequence[Axes], place: DocPath = ()) -> dict[str, Value]:
    """The selection ``axes``, which is written at ``place``, with names and values spelled as in ``points``.

    Raises:
        SpecError: No point matches; the problem has the kind ``UNMATCHED``.
    """
    named: dict[str, Value] = {}
    for key, value in axes.items():
        name = known_axis(key, points, (*place, key))
        named[name] = known_value(name, value, points, (*place, key))
    if not any(named.items() <= point.items() for point in points):
        raise _unmatched(f"no point has {listed(named)} together", place)
    return named


def known_axis(axis: str, points: Sequence[Axes], place: DocPath, *, key: bool = True) -> str:
    """The name of ``axis`` in ``points``. Raises ``SpecError`` if they have no such axis."""
    columns = list(points[0])
    name = short_name(axis, columns)
    if name not in columns:
        same = [repr(column) for column in _ending_in(axis, columns)]
        near = f" Did you mean {' or '.join(same)}?" if same else did_you_mean(axis, columns)
        what = f"there is no axis '{axis}'.{near} Axes: {', '.join(columns) or 'none'}.{_as_variant(axis, points)}"
        raise _unmatched(what, place, key=key)
    return name


def known_value(name: str, value: Any, points: Sequence[Axes], place: DocPath) -> Value:
    """The value of ``points`` on the axis ``name`` that equals ``value``. Raises ``SpecError`` if there is none."""
    values = list(dict.fromkeys(point[name] for point in points))
    same = [known for known in values if known == value and isinstance(known, bool) == isinstance(value, bool)]
    if not same:
        what = f"no point has {name} = {value!r}.{_nearest(value, values)} Values: {', '.join(map(str, values))}."
        raise _unmatched(what, place)
    return same[0]


def named_by_all(selections: Iterable[Mapping[str, Any]], axis: str) -> Any:
    """The value that every one of these selections gives ``axis``; ``None`` if they do not agree or do not name it."""
    values = {selection.get(axis) for selection in selections}
    return values.pop() if len(values) == 1 else None


def short_name(axis: str, columns: Iterable[str]) -> str:
    """The column that ``axis`` stands for: ``design.solver`` is ``solver``, and ``evaluate.seed`` is ``seed``.

    A field may be named as in tables, without its row: ``rho`` is ``time_steps.rho`` if no other column ends so.
    """
    known = list(columns)
    names = (axis, axis.removeprefix("design."), axis.removeprefix("evaluate."), f"denoiser.{axis}")
    same = _ending_in(axis, known)
    return next((name for name in names if name in known), same[0] if len(same) == 1 else axis)


def _ending_in(name: str, columns: Iterable[str]) -> list[str]:
    """The columns that are a field called ``name`` of something."""
    return [column for column in columns if column.endswith(f".{name}")]


def _as_variant(axis: str, points: Sequence[Axes]) -> str:
    """How a change of ``one_at_a_time`` is written, if there are any; for their own axes, an example of the change."""
    changes = [str(value) for value in dict.fromkeys(point.get(VARIANT) for point in points) if value != "baseline"]
    if VARIANT not in points[0] or not changes:
        return ""
    example = next((change for change in changes if f".{axis}=" in f".{change}"), changes[0])
    return f" The changes of one_at_a_time are values of {VARIANT}: {VARIANT}: {example}, or {VARIANT}: baseline."


def listed(axes: Axes) -> str:
    """The values of axes as text: ``solver = heun, nfe = 7``."""
    return ", ".join(f"{name} = {value}" for name, value in axes.items())


def _unmatched(what: str, place: DocPath, *, key: bool = False) -> SpecError:
    return SpecError([Problem(what, place, Kind.UNMATCHED, key)])


def _nearest(value: Any, values: Sequence[Value]) -> str:
    numbers = [known for known in values if isinstance(known, int | float) and not isinstance(known, bool)]
    if isinstance(value, int | float) and numbers:
        return f" Did you mean {min(numbers, key=lambda known: abs(known - value))}?"
    return did_you_mean(value, values)
