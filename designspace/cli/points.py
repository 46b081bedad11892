"""Selecting points on the command line: ``solver_grid:solver=heun,nfe=35``."""

from __future__ import annotations

from collections.abc import Sequence
from json import loads
from typing import Any

from designspace.cli.errors import stop

Axes = dict[str, Any]


def chosen(text: str, settings: str, points: Sequence[Axes]) -> Axes:
    """The values of axes in ``settings``, such as ``solver=heun,nfe=35``, as ``points`` have them.

    Errors stop the command and name ``text``, the whole argument.
    """
    from designspace.errors import SpecError
    from designspace.results.points import known_as

    try:
        return known_as(_axes(text, settings, points), points) if settings else {}
    except SpecError as error:
        stop(2, *(f"{text}: {problem.what}" for problem in error.problems))


def _axes(text: str, settings: str, points: Sequence[Axes]) -> Axes:
    from designspace.results.points import short_name
    from designspace.text import value_of

    labels = {(axis, value_of(value)): value for point in points for axis, value in point.items()}
    found: dict[str, str] = {}
    last = ""
    for part in settings.split(","):
        axis, equals, value = part.partition("=")
        whole = f"{found.get(last, '')},{part}"
        if last and any(name == last and label.startswith(whole) for name, label in labels):
            found[last] = whole  # the label itself contains a comma
        elif equals:
            last = short_name(axis.strip(), points[0])
            if last in found:
                stop(2, f"{text}: {last} is given twice")
            found[last] = value.strip()
        else:
            stop(2, f"{text}: '{part}' is not AXIS=VALUE. Axes: {', '.join(points[0]) or 'none'}.")
    return {axis: labels.get((axis, value), _number(value)) for axis, value in found.items()}


def _number(text: str) -> Any:
    try:
        return loads(text)
    except ValueError:
        return text
