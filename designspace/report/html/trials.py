"""The data on points and trials for the page's scripts: names, axes, resolved specs and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from designspace.report.entry import WORDS, Count, Entry
from designspace.report.html.render import cell
from designspace.report.study import Study
from designspace.results.records import Result, plain
from designspace.text import one_line, value_of

DESCRIBED = ("solver", "time_steps", "schedule", "scaling", "stochasticity")
"""The rows of a design that describe a trial in a few words."""
IDLE = {("stochasticity", "none"), ("guidance", "none"), ("decoder", "none")}
"""Components that do nothing, which are left out."""
TITLES = {"nfe": "budget (NFE)", "nfe_total": "budget (total NFE)", "num_steps": "steps"}
SAFE = 2**53
"""Larger integers cannot be represented exactly as JavaScript numbers."""


def points(study: Study, entries: Sequence[Entry]) -> dict[str, Any]:
    """The columns that all tables share, with a row of cells per point, and a short description of each trial.

    ``counts`` and ``costs`` are the indices of the columns with counted evaluations and with any kind of cost.
    """
    axes = list(study.about.axes)
    told = {axis for axis in axes if axis != study.column_axis}
    shown = [axis for axis in axes if axis == study.column_axis or len(told) > 1]
    counted = study.counts
    if study.column_axis in counted and not any(e.unspent for e in entries):
        shown.remove(study.column_axis)  # equal to the column of counted evaluations
    names = ["configuration", *(TITLES.get(axis, one_line(axis)) for axis in shown), *(WORDS[c] for c in counted)]
    cells = [
        [e.config, *(_cell(e.axes.get(axis)) for axis in shown), *(_spent(e, c) for c in counted)] for e in entries
    ]
    described: dict[str, int] = {}
    about = [described.setdefault(_description(e), len(described)) for e in entries]
    costs = [place for place, axis in enumerate(shown, 1) if axis == "num_steps"]
    found = {"columns": names, "rows": cells, "about": about, "described": list(described)}
    counts = [len(names) - len(counted) + i for i in range(len(counted))]
    return found | {"counts": counts, "costs": costs + counts}


def trials(study: Study, entries: Sequence[Entry]) -> dict[str, Any]:
    """For each trial: its id, point, seed (if there are several), a spec that reproduces it, and its record."""
    shared, components = _Shared(), study.about.components
    found = []
    for i, entry in enumerate(entries):
        for row in entry.rows:
            protocol = row.protocol.plain() if row.protocol else None
            recorded = {"provenance": row.provenance, "protocol": protocol, "seconds": row.seconds}
            recorded = {key: part for key, part in recorded.items() if part}
            seed = row.seed if entry.expected > 1 else None
            found.append([one_line(row.id), i, seed, shared.put(as_ablation(row, components)), shared.put(recorded)])
    return {"rows": found, **shared.parts()}


def as_ablation(row: Result, components: object = ()) -> Any:
    """The trial's resolved spec as an ablation with a single point, with which ``designspace run`` reproduces it.

    Metrics that cannot be measured for this trial are left out, in which case the id differs, but images and numbers
    are the same. ``components`` are the user's files that the ablation lists.
    """
    spec = row.trial
    if not (isinstance(spec, dict) and isinstance(evaluate := spec.get("evaluate"), dict)):
        return spec
    own = {"components": components} if components else {}
    rest = {key: value for key, value in spec.items() if key not in ("seed", "evaluate")}
    evaluated = evaluate | {"seed": row.seed, "repeats": 1}
    if isinstance(metrics := evaluate.get("metrics"), list):
        evaluated["metrics"] = [metric for metric in metrics if _name(metric) in row.metrics]
    return own | rest | {"evaluate": evaluated}


class _Shared:
    """JSON in which equal objects are stored once, because thousands of resolved specs differ only in a few fields.

    ``put`` encodes a scalar as itself, the i-th object as ``[i]``, a list as ``[-1, ...]``, and an integer that
    JavaScript would round as ``[-2, "..."]``. An object is stored as the index of its keys followed by its values.
    """

    def __init__(self) -> None:
        self._keys: dict[tuple[str, ...], int] = {}
        self._objects: dict[str, int] = {}
        self._listed: list[list[Any]] = []

    def put(self, value: Any) -> Any:
        """Store a value and return its encoding."""
        if isinstance(value, dict):
            keys = self._keys.setdefault(tuple(map(str, value)), len(self._keys))
            return [self._place([keys, *map(self.put, value.values())])]
        if isinstance(value, list):
            return [-1, *map(self.put, value)]
        if isinstance(value, int) and abs(value) > SAFE:
            return [-2, str(value)]
        return plain(value)

    def parts(self) -> dict[str, Any]:
        """The stored tuples of keys, and the stored objects."""
        return {"keys": [list(keys) for keys in self._keys], "objects": self._listed}

    def _place(self, node: list[Any]) -> int:
        found = self._objects.setdefault(repr(node), len(self._listed))  # keyed by repr, because 1 == 1.0 == True
        if found == len(self._listed):
            self._listed.append(node)
        return found


def _cell(value: object) -> Any:
    """A cell with a number (so that columns can be sorted) and its text, or only text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return cell(value, value_of(value))
    return "" if value is None else value_of(value)


def _spent(entry: Entry, count: Count) -> Any:
    if not entry.rows:
        return ""
    number = entry.spent(count)
    known = count == "nfe" and entry.nfe_sd is not None
    return cell(number, f"{number:.4g} ± {entry.nfe_sd:.2g}" if known else f"{number:g}")


def _description(entry: Entry) -> str:
    """A short description: ``heun, 18 steps, time_steps edm, schedule linear, ..., denoiser exact, data digits``."""
    if not entry.rows:
        return ""
    design: dict[str, Any] = entry.trial("design") or {}
    parts = {row: _name(design.get(row)) for row in DESCRIBED}
    parts |= {row: _name(entry.trial(row)) for row in ("denoiser", "decoder", "data")}
    steps = entry.trial("num_steps")
    words = [str(parts.pop("solver") or ""), f"{steps} steps" if steps is not None else ""]
    words += [f"{row} {name}" for row, name in parts.items() if name and (row, name) not in IDLE]
    return ", ".join(one_line(word) for word in words if word)


def _name(component: object) -> object:
    """The name of a component, which may be written with or without fields."""
    return component.get("name") if isinstance(component, dict) else component
