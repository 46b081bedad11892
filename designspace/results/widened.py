"""The points of an ablation that was run several times, with other values on its axes each time.

All runs of one ablation into the same folder belong to one report, so that its description has the points of all of
them. They are the same ablation if they have the same axes and the same baseline, and if no code or file that their
results depend on has changed in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from designspace.results.lines import point_key
from designspace.results.records import Description, GridPoint, plain
from designspace.text import few

REPEATS = "evaluate.repeats"
"""The field of the baseline that says how often to measure a point, and not what."""

Points = dict[str, dict[str, GridPoint]]
"""The points of each combination of axis values, one for each seed, by the axes as canonical JSON and by their ids."""


def widened(earlier: Description, later: Description) -> Description:
    """The description of a run, with the points and seeds of earlier runs of the same ablation that it does not have.

    If a run has all points of the earlier ones, its order counts; otherwise its new points come last. Everything else,
    such as the claims, is that of the later run.
    """
    before, now = _by_axes(earlier), _by_axes(later)
    order = now if before.keys() <= now.keys() else before | now
    together = {axes: {**now.get(axes, {}), **before.get(axes, {})} for axes in order}
    optional: dict[str, Any] = {}
    if later.sources is not None:
        optional["sources"] = (earlier.sources or {}) | later.sources
    if later.identities:
        optional["identities"] = earlier.identities | later.identities
    points = [point for seeds in together.values() for point in seeds.values()]
    return later.model_copy(update={"points": points, **optional})


def unlike(earlier: Description, later: Description) -> str:
    """In what the runs are different ablations, in a few words; empty if they are the same one."""
    if {*earlier.axes} != {*later.axes}:
        return "other axes"
    if fields := [path for path in _different(earlier.baseline, plain(later.baseline)) if path != REPEATS]:
        return f"other values of {few(fields)}"
    known = earlier.identities.keys() & later.identities.keys()
    if changed := sorted(name for name in known if earlier.identities[name] != later.identities[name]):
        return f"other code or files of {few([name.partition(' ')[0] for name in changed])}"
    before, now = _by_axes(earlier), _by_axes(later)
    same = all(before[axes].keys() & now[axes].keys() for axes in before if axes in now)
    return "" if same else "another version of the code or the data"


def _by_axes(about: Description) -> Points:
    found: Points = {}
    for point in about.points:
        found.setdefault(point_key("", point.axes)[1], {})[point.id] = point
    return found


def _different(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """The paths of the fields in which two specs differ; a field that is absent equals one that is null."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys([*a, *b]):
            yield from _different(a.get(name), b.get(name), f"{path}.{name}".removeprefix("."))
    elif a != b:
        yield path
