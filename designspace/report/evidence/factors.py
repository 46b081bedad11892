"""The design choices that an ablation varies, each with the values tried, and points that differ in nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import BUDGET, Entry
from designspace.report.study import Study
from designspace.text import value_of

VARIANT = "variant"
"""The axis of ``one_at_a_time``: its values are ``baseline``, ``solver=euler``, ``time_steps.rho=5``."""
BASELINE = "baseline"


@dataclass(frozen=True)
class Factor:
    """A row of Table 1, a field, or another axis, with the choices tried."""

    axes: tuple[str, ...]
    """One, or those of a ``zip``, whose values change together."""
    name: str
    """The axes, or for ``one_at_a_time`` what is changed."""
    choices: tuple[Any, ...]
    """Values of the axis, or tuples of those of several, the baseline first."""
    baseline: str
    """What the baseline has, or else the first choice."""
    compared_with: str = BASELINE
    """What this first choice is: the baseline's, or ``first`` where the ablation's own design has none of them."""

    def word(self, choice: Any) -> str:
        """The choice, without the name of what is changed."""
        if choice == self.choices[0]:
            return self.baseline
        return _word(choice).removeprefix(f"{self.name}=")

    def lines(self, entries: Sequence[Entry]) -> list[dict[Any, Entry]]:
        """By choice the points that differ in these axes alone; only where all choices are that any of them has."""
        found: dict[tuple[Any, ...], dict[Any, Entry]] = {}
        for entry in entries:
            rest = tuple(item for item in entry.axes.items() if item[0] not in self.axes)
            found.setdefault(rest, {})[_choice(entry.axes, self.axes)] = entry
        known = {choice for line in found.values() for choice in line}
        choices = [choice for choice in self.choices if choice in known]
        if len(choices) < 2 or choices[0] != self.choices[0]:
            return []
        return [{c: line[c] for c in choices} for line in found.values() if line.keys() >= set(choices)]


def factors(study: Study) -> list[Factor]:
    """All that have two choices at least, in the order of the ablation; what it costs is none."""
    return [factor for axes in _together(study) for factor in _of(study, axes) if len(factor.choices) > 1]


def _together(study: Study) -> list[tuple[str, ...]]:
    """The axes, those as one of which each value of one has only one value of the other beside it: a ``zip``."""
    found: list[tuple[str, ...]] = []
    for axis in (axis for axis in study.about.axes if axis not in BUDGET):
        same = next((axes for axes in found if _zipped(study, axes, axis)), ())
        found = [(*axes, axis) if axes == same else axes for axes in found] + ([] if same else [(axis,)])
    return found


def _zipped(study: Study, axes: tuple[str, ...], axis: str) -> bool:
    counts = [len(_values(study, of)) for of in (axes, (axis,), (*axes, axis))]
    return min(counts) > 1 and counts[2] == max(counts[:2])


def _values(study: Study, axes: tuple[str, ...]) -> list[Any]:
    return list(dict.fromkeys(_choice(point.axes, axes) for point in study.points))


def _choice(values: Mapping[str, Any], axes: tuple[str, ...]) -> Any:
    found = tuple(values.get(axis) for axis in axes)
    return found if len(found) > 1 else found[0]


def _word(choice: Any) -> str:
    return " + ".join(map(value_of, choice)) if isinstance(choice, tuple) else value_of(choice)


def _of(study: Study, axes: tuple[str, ...]) -> Iterator[Factor]:
    values = _values(study, axes)
    if axes != (VARIANT,) or BASELINE not in values:
        first = _choice(study.about.baseline_axes, axes)
        choices = tuple(sorted(values, key=lambda value: value != first))
        what = BASELINE if first in values else "first"
        yield Factor(axes, " + ".join(axes), choices, _word(next(iter(choices), "")), what)
        return
    rows: dict[str, list[Any]] = {}
    for value in values:
        if value != BASELINE:
            rows.setdefault(str(value).partition("=")[0], []).append(value)
    for name, changed in rows.items():
        yield Factor(axes, name, (BASELINE, *changed), _of_baseline(study, name))


def _of_baseline(study: Study, name: str) -> str:
    """The value of a row or field in the resolved spec of the baseline."""
    entry = next((e for e in study.entries if e.axes.get(VARIANT) == BASELINE), None)
    found = entry and (entry.trial("design", *name.split(".")) or entry.trial(*name.split(".")))
    found = found.get("name") if isinstance(found, dict) else found
    return BASELINE if found is None else value_of(found)
