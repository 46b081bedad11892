"""Main effects: how each design choice changes a metric, all else equal, and which choices the evidence favours."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

    axes: tuple[str, ...]
    favoured: dict[Any, tuple[Any, ...]]
    """The favoured choices at each value of the axis, the best one first."""

    @property
    def axis(self) -> str:
        """The name of the axis, or those of several."""
        return " + ".join(self.axes)


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
    beside: tuple[Any, ...] = ()
    """What is favoured where all other factors have their favoured choices, if the best choice is worse there."""
    everywhere: bool = True
    """Whether the best choice on average is at no setting of the other axes significantly worse than another one."""

    @property
    def decided(self) -> bool:
        """Whether some choice is significantly worse than the best one."""
        return len(self.favoured) <= len(self.against)

    def favoured_at(self, axes: Mapping[str, Any]) -> tuple[Any, ...]:
        """The favoured choices at a point with these values of the axes; on average if not all are measured there."""
        if self.dependence is None:
            return self.favoured
        return self.dependence.favoured.get(choice_of(axes, self.dependence.axes), self.favoured)


def effects(study: Study, metric: str) -> list[list[Effects]]:
    """For each group of rivals, the effects of every factor at every budget (perhaps none)."""
    if ("effects", metric) not in study.kept:  # several tables and figures need them
        groups = [finite(group, metric) for group in rivals(study.entries, metric)]
        study.kept["effects", metric] = [_of_group(study, group, metric) for group in groups]
    found: list[list[Effects]] = study.kept["effects", metric]
    return found


def _of_group(study: Study, entries: Sequence[Entry], metric: str) -> list[Effects]:
    found = [one for factor in factors(study) for one in _of_factor(study, factor, entries, metric)]
    alike: dict[object, list[Effects]] = {}
    for one, _ in found:
        alike.setdefault(one.budget, []).append(one)
    if not entries or entries[0].higher_is_better(metric) is None:
        return [one for one, _ in found]
    return [replace(one, beside=_beside(study, one, alike[one.budget], lines, metric)) for one, lines in found]


def _of_factor(
    study: Study, factor: Factor, entries: Sequence[Entry], metric: str
) -> Iterator[tuple[Effects, Sequence[Line]]]:
    """The effects of a factor at every budget, with the lines over which they are averaged."""
    for budget, points in by_budget(study, entries).items():
        if lines := factor.lines(points):
            yield effects_at(study, factor, budget, lines, metric), lines


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
    everywhere = not _is_worse_somewhere(study, lines, favoured[0], metric)
    return Effects(factor, budget, len(lines), means[base], against, favoured, nfe, dependence, everywhere=everywhere)


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
    """The axis between whose values the favoured choices differ; if several axes do that, the clearest one.

    They do if no choice is favoured at all values. They also do if the effect depends significantly on the axis
    (``interactions``), other choices are favoured at one value than at another, and, at some value, either a choice is
    favoured while nothing is decided on average, or the best choice on average is not favoured. These comparisons are
    corrected for all pairs of choices at all values of all axes. The clearest axis is one of the first kind, if there
    is any, and the one whose favoured choices are the best ones at most settings.
    """
    others = [axes for axes in together(study) if axes != factor.axes]
    levels = {axes: of for axes in others if len(of := _levels(lines, axes)) > 1}
    known = dependent(study, factor.axes, budget, lines[0][favoured[0]], metric) if levels else []
    tests = sum(map(len, levels.values()))
    found: list[tuple[bool, int, bool, Dependence]] = []
    for axes, at in levels.items():
        best = {level: _favoured(study, of, metric, tests) for level, of in at.items()}
        differ = not set.intersection(*map(set, best.values()))
        if differ or (axes in known and _is_hidden(favoured, [*best.values()], len(lines[0]))):
            explained = sum(best_choice([line], metric) == best[level][0] for level, of in at.items() for line in of)
            found.append((differ, explained, axes in known, Dependence(axes, best)))
    return max(found, key=lambda one: one[:3])[3] if found else None


def _is_hidden(favoured: Sequence[Any], at: Sequence[Sequence[Any]], choices: int) -> bool:
    """Whether the average hides what is favoured at some value, and not the same choices are favoured at all values."""
    decided = [best for best in at if len(best) < choices]
    if not decided or len({frozenset(best) for best in at}) == 1:
        return False
    return len(favoured) == choices or any(favoured[0] not in best for best in decided)


def _is_worse_somewhere(study: Study, lines: Sequence[Line], top: Any, metric: str) -> bool:
    """Whether a choice is significantly worse than another one at some setting of the other axes."""
    return any(top not in _favoured(study, [line], metric, len(lines)) for line in lines)


def _beside(
    study: Study, one: Effects, alike: Sequence[Effects], lines: Sequence[Line], metric: str
) -> tuple[Any, ...]:
    """The favoured choices where all other factors have theirs, if the one favoured otherwise is not among them.

    Which settings these are is found in the same data, so that the comparisons are corrected for all pairs of choices
    at all settings.
    """
    others = {other.factor.axes: [each for each in alike if each.factor.axes == other.factor.axes] for other in alike}
    others.pop(one.factor.axes)
    at: dict[Any, list[Line]] = {}
    for line in lines:
        told = one.favoured_at(next(iter(line.values())).axes)[0]
        values = line[told].axes
        if all(any(choice_of(values, axes) in each.favoured_at(values) for each in of) for axes, of in others.items()):
            at.setdefault(told, []).append(line)
    if len(at) != 1:  # nothing was measured there, or the choice depends on which of the others' choices is taken
        return ()
    ((told, there),) = at.items()
    found = _favoured(study, there, metric, len(lines))
    return () if told in found else found


def _levels(lines: Sequence[Line], axes: tuple[str, ...]) -> dict[Any, list[Line]]:
    """The lines by the value of the axes.

    It is that of the last point of a line. The first one may be a point of another line, for example ``none``, which
    is the same at all weights of guidance.
    """
    found: dict[Any, list[Line]] = {}
    for line in lines:
        *_, last = line.values()
        found.setdefault(choice_of(last.axes, axes), []).append(line)
    return found


def gap_between(study: Study, lines: Sequence[Line], a: Any, b: Any, metric: str) -> Difference:
    """The mean difference of two choices over the lines, the first minus the second."""
    return mean_difference(study, [(line[a], line[b]) for line in lines], metric)


def counted_gap(study: Study, lines: Sequence[Line], a: Any, b: Any, metric: str) -> Difference:
    """The mean difference of two choices if values below the drawn reference count as equal to it."""
    return above_drawn(gap_between(study, lines, a, b, metric), [(line[a], line[b]) for line in lines], metric)
