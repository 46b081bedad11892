"""Main effects: how each design choice changes a metric, all else equal, and which choices the evidence favours."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference, mean_difference
from designspace.report.evidence.differences import above_drawn, by_budget, finite
from designspace.report.evidence.factors import Factor, Line, choice_of, factors, together
from designspace.report.evidence.inference import LEVEL, with_best
from designspace.report.evidence.interactions import dependent
from designspace.report.study import Study, rivals


@dataclass(frozen=True)
class Dependence:
    """An axis on which the favoured choice depends, or several of a ``zip``."""

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
    """Given if what is favoured on average is not what is favoured at each value of another axis."""

    @property
    def decided(self) -> bool:
        """Whether some choice is significantly worse than the best one."""
        return len(self.favoured) <= len(self.against)


def effects(study: Study, metric: str) -> list[list[Effects]]:
    """For each group of rivals, the effects of every factor at every budget (perhaps none)."""
    if ("effects", metric) not in study.kept:  # several tables and figures need them
        groups = [finite(group, metric) for group in rivals(study.entries, metric)]
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
    dependence = _dependence(study, factor, budget, lines, favoured, metric)
    return Effects(factor, budget, len(lines), means[base], against, favoured, nfe, dependence)


def _favoured(study: Study, lines: Sequence[Line], metric: str, families: int = 1) -> tuple[Any, ...]:
    """The choice with the best mean and those that do not differ significantly from it.

    The p-values are corrected for all pairs of choices, and for the number of such ``families`` of choices. Values
    below the drawn reference count as equal to it.
    """
    top = best_choice(lines, metric)
    gaps = {choice: counted_gap(study, lines, choice, top, metric) for choice in lines[0] if choice != top}
    corrected = zip(gaps, with_best([gap.p for gap in gaps.values()]), strict=True)
    return (top, *(choice for choice, p in corrected if not families * p <= LEVEL))


def best_choice(lines: Sequence[Line], metric: str) -> Any:
    """The choice with the best mean; the first one if several are equal."""
    higher = next(iter(lines[0].values())).higher_is_better(metric)
    return (max if higher else min)(lines[0], key=lambda c: statistics.fmean(line[c].counted(metric) for line in lines))


def _dependence(
    study: Study, factor: Factor, budget: object, lines: Sequence[Line], favoured: Sequence[Any], metric: str
) -> Dependence | None:
    """The axis by which the best choice differs, if the average over the lines hides that.

    It does if the best choice on average is significantly worse than another one at some setting. It also does if the
    effect depends significantly on an axis (``interactions``) and, at some value of that axis, either a choice is
    favoured while nothing is decided on average, or the best choice on average is not favoured.
    """
    others = [axes for axes in together(study) if axes != factor.axes and len(_levels(lines, axes)) > 1]
    known = dependent(study, factor.axes, budget, lines[0][favoured[0]], metric) if others else []
    reversed_somewhere = _is_worse_somewhere(study, lines, favoured[0], metric)
    found: list[tuple[bool, int, Dependence]] = []
    for axes in others if reversed_somewhere else [axes for axes in others if axes in known]:
        levels = _levels(lines, axes)
        best = {level: _favoured(study, of, metric, len(levels)) for level, of in levels.items()}
        explained = sum(best_choice([line], metric) == best[level][0] for level, of in levels.items() for line in of)
        if reversed_somewhere or _is_hidden(favoured, [*best.values()], len(lines[0])):
            found.append((axes in known, explained, Dependence(" + ".join(axes), best)))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _is_worse_somewhere(study: Study, lines: Sequence[Line], top: Any, metric: str) -> bool:
    """Whether a choice is significantly worse than another one at some setting.

    These comparisons are corrected for all pairs of choices at all settings.
    """
    worse = (
        counted_gap(study, [line], best, top, metric).p
        for line in lines
        if (best := best_choice([line], metric)) != top
    )
    pairs = len(lines[0]) * (len(lines[0]) - 1) / 2
    return any(len(lines) * pairs * p <= LEVEL for p in worse)


def _is_hidden(favoured: Sequence[Any], at: Sequence[Sequence[Any]], choices: int) -> bool:
    decided = [best for best in at if len(best) < choices]
    return bool(decided) and (len(favoured) == choices or any(favoured[0] not in best for best in decided))


def _levels(lines: Sequence[Line], axes: tuple[str, ...]) -> dict[Any, list[Line]]:
    """The lines by the value of the axes."""
    found: dict[Any, list[Line]] = {}
    for line in lines:
        found.setdefault(choice_of(next(iter(line.values())).axes, axes), []).append(line)
    return found


def gap_between(study: Study, lines: Sequence[Line], a: Any, b: Any, metric: str) -> Difference:
    """The mean difference of two choices over the lines, the first minus the second."""
    return mean_difference(study, [(line[a], line[b]) for line in lines], metric)


def counted_gap(study: Study, lines: Sequence[Line], a: Any, b: Any, metric: str) -> Difference:
    """The mean difference of two choices if values below the drawn reference count as equal to it."""
    return above_drawn(gap_between(study, lines, a, b, metric), [(line[a], line[b]) for line in lines], metric)
