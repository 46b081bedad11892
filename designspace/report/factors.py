"""The design choices that an ablation varies, each with the values tried, and points that differ in nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import BUDGET, Entry
from designspace.report.study import Study
from designspace.report.text import value_of

VARIANT = "variant"
"""The axis of ``one_at_a_time``: its values are ``baseline``, ``solver=euler``, ``time_steps.rho=5``."""
BASELINE = "baseline"


@dataclass(frozen=True)
class Factor:
    """A row of Table 1, a field, or another axis, with the choices tried."""

    axis: str
    name: str
    """The axis, or for ``one_at_a_time`` what is changed."""
    choices: tuple[Any, ...]
    """Values of the axis, the baseline first."""
    baseline: str
    """What the baseline has, or else the first choice."""
    compared_with: str = BASELINE
    """What this first choice is: the baseline's, or ``first`` where the ablation's own design has none of them."""

    def word(self, choice: Any) -> str:
        """The choice, without the name of what is changed."""
        return self.baseline if choice == self.choices[0] else value_of(choice).removeprefix(f"{self.name}=")

    def lines(self, entries: Sequence[Entry]) -> list[dict[Any, Entry]]:
        """By choice the points that differ in this axis alone; only where all choices are that any of them has."""
        found: dict[tuple[Any, ...], dict[Any, Entry]] = {}
        for entry in entries:
            rest = tuple(item for item in entry.axes.items() if item[0] != self.axis)
            found.setdefault(rest, {})[entry.axes.get(self.axis)] = entry
        known = {choice for line in found.values() for choice in line}
        choices = [choice for choice in self.choices if choice in known]
        if len(choices) < 2 or choices[0] != self.choices[0]:
            return []
        return [{c: line[c] for c in choices} for line in found.values() if line.keys() >= set(choices)]


def factors(study: Study) -> list[Factor]:
    """All that have two choices at least, in the order of the ablation; what it costs is none."""
    return [
        factor
        for axis in study.about["axes"]
        if axis not in BUDGET
        for factor in _of(study, axis)
        if len(factor.choices) > 1
    ]


def _of(study: Study, axis: str) -> Iterator[Factor]:
    values = list(dict.fromkeys(point.axes[axis] for point in study.points if axis in point.axes))
    if axis != VARIANT or BASELINE not in values:
        first = study.about.get("baseline_axes", {}).get(axis)
        choices = tuple(sorted(values, key=lambda value: value != first))
        what = BASELINE if first in values else "first"
        yield Factor(axis, axis, choices, value_of(next(iter(choices), "")), what)
        return
    rows: dict[str, list[Any]] = {}
    for value in values:
        if value != BASELINE:
            rows.setdefault(str(value).partition("=")[0], []).append(value)
    for name, changed in rows.items():
        yield Factor(axis, name, (BASELINE, *changed), _of_baseline(study, name))


def _of_baseline(study: Study, name: str) -> str:
    """The value of a row or field in the resolved spec of the baseline."""
    entry = next((e for e in study.entries if e.axes.get(VARIANT) == BASELINE), None)
    found = entry and (entry.trial("design", *name.split(".")) or entry.trial(*name.split(".")))
    found = found.get("name") if isinstance(found, dict) else found
    return BASELINE if found is None else value_of(found)
