"""Points of reports as they are written on the command line: ``solver_grid:solver=heun,nfe=35``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from designspace.cli.errors import stop
from designspace.cli.report import folder_of

if TYPE_CHECKING:
    from designspace.report import Study
    from designspace.report.entry import Entry
    from designspace.report.evidence.differences import Pair


Axes = dict[str, Any]


class Side(NamedTuple):
    """One side of a comparison: the text on the command line, and the points that it stands for."""

    text: str
    study: Study
    axes: Axes
    points: list[Entry]


def side(text: str, out: Path, other: Study | None = None) -> Side:
    """The points that ``text`` names. ``other`` is used if it is the study that is named. Errors stop the command."""
    from designspace.errors import SpecError
    from designspace.report import Study
    from designspace.report.points import select
    from designspace.results.points import known_as

    name, _, settings = text.partition(":")
    folder = folder_of(name, out)
    study = other if other and other.folder.samefile(folder) else Study(folder)
    points = [dict(point.axes) for point in study.points]
    try:
        axes = known_as(_axes(text, settings, points), points) if settings else {}
    except SpecError as error:
        stop(2, *(f"{text}: {problem.what}" for problem in error.problems))
    return Side(text, study, axes, select(study.points, axes))


def pairs(a: Side, b: Side) -> list[Pair]:
    """The pairs to compare: points that are equal in the axes that neither side gives, and in the budget."""
    from designspace.report import points
    from designspace.report.entry import BUDGET

    both = [axis for axis in a.study.about.axes if axis in b.study.about.axes]
    given = {axis: (axis in a.axes) + (axis in b.axes) for axis in both}
    equal = [axis for axis, times in given.items() if times == 0 or (times == 1 and axis in BUDGET)]
    found = [(p, q) for p, q in points.pairs(a.points, b.points, equal) if p is not q]
    if not found:
        same = f" that are equal in {', '.join(equal)}" if equal else ""
        alone = f"; for every two of one report give it once: designspace compare {a.text}" if a.text == b.text else ""
        stop(2, f"{a.text} and {b.text}: no two different points{same}{alone}")
    return found


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
            found[last] = whole  # a label with a comma
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
        return json.loads(text)
    except ValueError:
        return text
