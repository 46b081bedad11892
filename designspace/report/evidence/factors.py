"""What an ablation varies: the choices of each factor, and the points that differ only in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import BUDGET, Entry
from designspace.report.evidence.paper import ROWS
from designspace.report.study import Study
from designspace.text import value_of

VARIANT = "variant"
"""The axis of ``one_at_a_time``, with values such as ``baseline``, ``solver=euler`` and ``time_steps.rho=5``."""
BASELINE = "baseline"

EDGES = 3
"""The smallest number of values of which the lowest and the highest are edges of the grid."""

Line = Mapping[Any, Entry]
"""Points that differ only in the choice, which is their key."""


@dataclass(frozen=True)
class Factor:
    """What an ablation varies: a row of Table 1, a field, or another axis."""

    axes: tuple[str, ...]
    """One axis, or the axes of a ``zip``, whose values change together."""
    name: str
    """The names of the axes or, for ``one_at_a_time``, the row or field that is changed."""
    choices: tuple[Any, ...]
    """The values of the axis, or tuples of values for several axes; the baseline's comes first."""
    baseline: str
    """The first choice as text."""
    compared_with: str = BASELINE
    """``baseline``, or ``first`` if the baseline has none of the choices."""

    def word(self, choice: Any) -> str:
        """The choice as text, without the name of the factor."""
        if choice == self.choices[0]:
            return self.baseline
        return word_of(choice).removeprefix(f"{self.name}=")

    def lines(self, entries: Sequence[Entry]) -> list[dict[Any, Entry]]:
        """Groups of points that differ only in this factor; groups in which a choice is missing are left out."""
        found: dict[tuple[Any, ...], dict[Any, Entry]] = {}
        for entry in entries:
            rest = tuple(item for item in entry.axes.items() if item[0] not in self.axes)
            found.setdefault(rest, {})[choice_of(entry.axes, self.axes)] = entry
        known = {choice for line in found.values() for choice in line}
        choices = [choice for choice in self.choices if choice in known]
        if len(choices) < 2 or choices[0] != self.choices[0]:
            return []
        return [{c: line[c] for c in choices} for line in found.values() if line.keys() >= set(choices)]


def edges(values: Collection[float]) -> set[float]:
    """The lowest and the highest of at least three values, beyond which there may be better ones.

    0 is none unless a negative value was tried, because most numbers, such as S_churn, cannot be negative.
    """
    ends = {min(values), max(values)} if len(values) >= EDGES else set()
    return ends if min(values, default=0.0) < 0 else ends - {0.0}


def factors(study: Study) -> list[Factor]:
    """The factors with at least two choices, in the order of the ablation; budgets are not factors."""
    return [factor for axes in together(study) for factor in _of(study, axes) if len(factor.choices) > 1]


def together(study: Study) -> list[tuple[str, ...]]:
    """The axes in groups: those of a ``zip``, whose values determine each other, form one group."""
    found: list[tuple[str, ...]] = []
    for axis in (axis for axis in study.about.axes if axis not in BUDGET):
        same = next((axes for axes in found if _zipped(study, axes, axis)), ())
        found = [(*axes, axis) if axes == same else axes for axes in found] + ([] if same else [(axis,)])
    return found


def _zipped(study: Study, axes: tuple[str, ...], axis: str) -> bool:
    counts = [len(_values(study, of)) for of in (axes, (axis,), (*axes, axis))]
    return min(counts) > 1 and counts[2] == max(counts[:2])


def _values(study: Study, axes: tuple[str, ...]) -> list[Any]:
    return list(dict.fromkeys(choice_of(point.axes, axes) for point in study.points))


def choice_of(values: Mapping[str, Any], axes: tuple[str, ...]) -> Any:
    """The value of one axis, or the tuple of the values of several."""
    found = tuple(values.get(axis) for axis in axes)
    return found if len(found) > 1 else found[0]


def word_of(choice: Any) -> str:
    """A value, or a tuple of values, as text."""
    return " + ".join(map(value_of, choice)) if isinstance(choice, tuple) else value_of(choice)


def _of(study: Study, axes: tuple[str, ...]) -> Iterator[Factor]:
    values = _values(study, axes)
    if axes != (VARIANT,) or BASELINE not in values:
        first = choice_of(study.about.baseline_axes, axes)
        choices = tuple(sorted(values, key=lambda value: value != first))
        what = BASELINE if first in values else "first"
        yield Factor(axes, " + ".join(axes), choices, word_of(next(iter(choices), "")), what)
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
    if entry and found is None and entry.trial(*name.split(".")[:-1] or ["design"]):  # a row that is not set
        rows = [row for row in ROWS if name in (row.name, ".".join((*row.place, row.name)))]
        found = next((row.of(entry.rows[0].trial or {}) for row in rows), None)
    found = found.get("name") if isinstance(found, dict) else found
    return BASELINE if found is None else value_of(found)
