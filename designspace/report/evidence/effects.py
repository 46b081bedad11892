"""Main effects: how each design choice changes a metric, all else equal, and which choices the evidence favours."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import BUDGET, Entry
from designspace.report.evidence.contrasts import Difference, mean_difference
from designspace.report.evidence.differences import above_drawn, by_budget, finite
from designspace.report.evidence.inference import LEVEL, with_best
from designspace.report.evidence.paper import ROWS
from designspace.report.study import Study, comparable
from designspace.text import value_of

VARIANT = "variant"
"""The axis of ``one_at_a_time``, with values such as ``baseline``, ``solver=euler`` and ``time_steps.rho=5``."""
BASELINE = "baseline"

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
        return _word(choice).removeprefix(f"{self.name}=")

    def lines(self, entries: Sequence[Entry]) -> list[dict[Any, Entry]]:
        """Groups of points that differ only in this factor; groups in which a choice is missing are left out."""
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
    if entry and found is None and entry.trial(*name.split(".")[:-1] or ["design"]):  # a row that is not set
        rows = [row for row in ROWS if name in (row.name, ".".join((*row.place, row.name)))]
        found = next((row.of(entry.rows[0].trial or {}) for row in rows), None)
    found = found.get("name") if isinstance(found, dict) else found
    return BASELINE if found is None else value_of(found)


@dataclass(frozen=True)
class Dependence:
    """An axis on which the favoured choice depends."""

    axis: str
    favoured: dict[Any, tuple[Any, ...]]
    """The favoured choices at each value of the axis, the best one first."""


@dataclass(frozen=True, eq=False)
class Effects:
    """The effects of the choices of one factor at one budget."""

    factor: Factor
    budget: object
    lines: int
    """The number of combinations of the other axes over which the effects are averaged."""
    baseline: float
    """The mean of the metric with the first choice."""
    against: dict[Any, Difference]
    """For every other choice, its mean minus that of the first choice."""
    favoured: tuple[Any, ...]
    """The choice that is best on average, then those that do not differ significantly from it."""
    nfe: dict[Any, float]
    """The mean number of evaluations per image of each choice, in the count of the study, over the same points."""
    dependence: Dependence | None = None
    """Given if the choice that is best on average is significantly worse than another one at some setting."""

    @property
    def decided(self) -> bool:
        """Whether some choice is significantly worse than the best one."""
        return len(self.favoured) <= len(self.against)


def effects(study: Study, metric: str) -> list[list[Effects]]:
    """For each group of comparable points, the effects of every factor at every budget (perhaps none)."""
    if ("effects", metric) not in study.kept:  # several tables and figures need them
        groups = [finite(group, metric) for group in comparable(study.entries, metric)]
        study.kept["effects", metric] = [
            [one for factor in factors(study) for one in _effects(study, factor, group, metric)] for group in groups
        ]
    found: list[list[Effects]] = study.kept["effects", metric]
    return found


def _effects(study: Study, factor: Factor, entries: Sequence[Entry], metric: str) -> list[Effects]:
    lines = {budget: factor.lines(points) for budget, points in by_budget(study, entries).items()}
    return [effects_at(study, factor, budget, found, metric) for budget, found in lines.items() if found]


def effects_at(study: Study, factor: Factor, budget: object, lines: Sequence[Line], metric: str) -> Effects:
    """The effects of a factor at one budget, averaged over ``lines``, each of which has all choices."""
    base, *others = choices = tuple(lines[0])
    means = {choice: statistics.fmean(line[choice].value(metric) for line in lines) for choice in choices}
    against = {choice: gap_between(study, lines, choice, base, metric) for choice in others}
    nfe = {choice: statistics.fmean(line[choice].spent(study.count) for line in lines) for choice in choices}
    higher = lines[0][base].higher_is_better(metric)
    if higher is None:
        return Effects(factor, budget, len(lines), means[base], against, choices, nfe)
    favoured = _favoured(study, lines, metric)
    dependence = _dependence(study, factor, lines, favoured[0], metric)
    return Effects(factor, budget, len(lines), means[base], against, favoured, nfe, dependence)


def _favoured(study: Study, lines: Sequence[Line], metric: str, families: int = 1) -> tuple[Any, ...]:
    """The choice with the best mean and those that do not differ significantly from it.

    The p-values are corrected for all pairs of choices, and for the number of such ``families`` of choices. Values
    below the drawn reference count as equal to it.
    """
    top = _best(lines, metric)
    gaps = {choice: counted_gap(study, lines, choice, top, metric) for choice in lines[0] if choice != top}
    corrected = zip(gaps, with_best([gap.p for gap in gaps.values()]), strict=True)
    return (top, *(choice for choice, p in corrected if not families * p <= LEVEL))


def _best(lines: Sequence[Line], metric: str) -> Any:
    higher = next(iter(lines[0].values())).higher_is_better(metric)
    return (max if higher else min)(lines[0], key=lambda c: statistics.fmean(line[c].counted(metric) for line in lines))


def _dependence(study: Study, factor: Factor, lines: Sequence[Line], top: Any, metric: str) -> Dependence | None:
    """The axis by which the best choice differs, if ``top`` is significantly worse than another one at some setting.

    These comparisons are corrected for all pairs of choices at all settings.
    """
    worse = (
        counted_gap(study, [line], best, top, metric).p for line in lines if (best := _best([line], metric)) != top
    )
    pairs = len(lines[0]) * (len(lines[0]) - 1) / 2
    if not any(len(lines) * pairs * p <= LEVEL for p in worse):
        return None
    found: list[tuple[int, Dependence]] = []
    for axis in (axis for axis in lines[0][top].axes if axis not in (*factor.axes, *BUDGET)):
        levels: dict[Any, list[Line]] = {}
        for line in lines:
            levels.setdefault(line[top].axes[axis], []).append(line)
        best = {level: _favoured(study, of, metric, len(levels)) for level, of in levels.items()}
        explained = sum(_best([line], metric) == best[level][0] for level, of in levels.items() for line in of)
        found.append((explained, Dependence(axis, best)))
    return max(found, key=lambda one: one[0])[1]


def gap_between(study: Study, lines: Sequence[Line], a: Any, b: Any, metric: str) -> Difference:
    """The mean difference of two choices over the lines, the first minus the second."""
    return mean_difference(study, [(line[a], line[b]) for line in lines], metric)


def counted_gap(study: Study, lines: Sequence[Line], a: Any, b: Any, metric: str) -> Difference:
    """The mean difference of two choices if values below the drawn reference count as equal to it."""
    return above_drawn(gap_between(study, lines, a, b, metric), [(line[a], line[b]) for line in lines], metric)
