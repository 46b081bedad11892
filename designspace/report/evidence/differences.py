"""Comparisons of points with each other, and the points that do not differ significantly from the best one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference, difference
from designspace.report.evidence.inference import LEVEL, holm, with_best
from designspace.report.study import Study, budgets, rivals

Pair = tuple[Entry, Entry]
MOST = 1000
"""The largest number of comparisons per metric and protocol for which a report lists all pairs.

If there are more, it lists only the comparisons with the best point."""


@dataclass(frozen=True)
class Ranking:
    """The best of several points and the comparisons of all others with it."""

    best: list[Entry]
    """The point with the best value, then those whose difference from it is not resolved."""
    against: dict[Entry, tuple[Difference, float]]
    """For every other point, its difference from the best one and the p-value corrected for all pairs of points."""

    @property
    def unpaired(self) -> int:
        """The number of comparisons without common latents."""
        return sum(not found.paired for found, _ in self.against.values())

    @property
    def unknown(self) -> int:
        """The number of comparisons without a standard error."""
        return sum(found.se is None for found, _ in self.against.values())


def rank(study: Study, entries: Sequence[Entry], metric: str) -> Ranking:
    """Compare every point with the best one, at the 5 % level after correction for all pairs of points.

    Among equal points, any is missing from ``best`` with a probability of at most 5 %: see ``with_best``. Values below
    the drawn reference count as equal to it (``above_drawn``). Points with the same trials count as one. ``best`` is
    empty if neither higher nor lower values are better.
    """
    key = "rank", metric, tuple(entries)
    if key not in study.kept:  # tables, figures and the page need the same ranking
        study.kept[key] = _rank(study, entries, metric)
    found: Ranking = study.kept[key]
    return found


def _rank(study: Study, entries: Sequence[Entry], metric: str) -> Ranking:
    known = finite(entries, metric)
    higher = entries[0].higher_is_better(metric) if entries else None
    if not known or higher is None:
        return Ranking([], {})
    top = (max if higher else min)(known, key=lambda entry: entry.value(metric))
    found = {e: above_drawn(difference(study, e, top, metric), [(e, top)], metric) for e in known if e is not top}
    ps = {arm: gap.p for entry, gap in found.items() if (arm := _arm(entry, metric)) != _arm(top, metric)}
    corrected = dict(zip(ps, with_best([*ps.values()]), strict=True))
    against = {entry: (gap, corrected.get(_arm(entry, metric), 1.0)) for entry, gap in found.items()}
    equal = [e for e, (gap, p) in against.items() if p > LEVEL or (gap.se is None and gap.value == 0)]
    return Ranking([top, *equal], against)


def above_drawn(gap: Difference, pairs: Sequence[Pair], metric: str) -> Difference:
    """The mean difference of the ``pairs`` if values below the drawn reference count as equal to it.

    Where lower values are better, no images score better than those of the reference itself, except by chance. For a
    single pair, such a difference is never larger than that of the values, so that no test of it is more often wrong.
    """
    if all(entry.below_drawn(metric) for pair in pairs for entry in pair):
        return replace(gap, value=0.0)
    raised = statistics.fmean(a.below_drawn(metric) - b.below_drawn(metric) for a, b in pairs)
    return replace(gap, value=gap.value + raised)


@dataclass(frozen=True)
class Comparison:
    """Two points and the difference of the first from the second."""

    a: Entry
    b: Entry
    found: Difference
    corrected: float
    """The p-value after Holm's correction for all comparisons of different trials that are made together."""


def compared(study: Study, pairs: Iterable[Pair], metric: str, other: Study | None = None) -> list[Comparison]:
    """Compare the points of each pair; the second point is from the study ``other`` if that is given."""
    pairs = list(pairs)
    found = [difference(study, a, b, metric, other=other) for a, b in pairs]
    arms = [frozenset({_arm(a, metric), _arm(b, metric)}) for a, b in pairs]
    ps = {two: gap.p for two, gap in zip(arms, found, strict=True) if len(two) > 1}
    corrected = dict(zip(ps, holm([*ps.values()]), strict=True))
    return [Comparison(*pair, gap, corrected.get(two, 1.0)) for pair, two, gap in zip(pairs, arms, found, strict=True)]


def _arm(entry: Entry, metric: str) -> tuple[tuple[str, ...], float]:
    """What points have in common that are the same trials; those of two studies may have other values."""
    return entry.trials, entry.value(metric)


def all_pairs(study: Study, metric: str, points: Sequence[Entry] | None = None) -> list[list[Comparison]]:
    """For each group of rivals, the comparisons of all pairs with the same budget.

    ``points`` restricts them to some points of the study.
    """
    groups = rivals(study.entries if points is None else points, metric)
    return [compared(study, _of_equal_budget(study, finite(group, metric)), metric) for group in groups]


def listed(study: Study, metric: str) -> Iterator[list[Comparison]]:
    """For each group of rivals, the comparisons that the report lists.

    These are all pairs with the same budget or, if there are more than ``MOST``, each point with the best one.
    """
    for group in rivals(study.entries, metric):
        points = finite(group, metric)
        pairs = list(islice(_of_equal_budget(study, points), MOST + 1))
        yield compared(study, pairs if len(pairs) <= MOST else _with_best(study, points, metric), metric)


def by_budget(study: Study, points: Sequence[Entry]) -> dict[object, list[Entry]]:
    """The points of each budget, lowest budget first; all in one group if the ablation has no axis for the budget."""
    found: dict[object, list[Entry]] = {budget: [] for budget in budgets(study, points)}
    for point in points:
        found[study.budget(point)].append(point)
    return found


def finite(entries: Iterable[Entry], metric: str) -> list[Entry]:
    """The points whose value of the metric is finite."""
    return [entry for entry in entries if math.isfinite(entry.value(metric))]


def _of_equal_budget(study: Study, points: Sequence[Entry]) -> Iterator[Pair]:
    for column in by_budget(study, points).values():
        yield from combinations(column, 2)


def _with_best(study: Study, points: Sequence[Entry], metric: str) -> list[Pair]:
    columns = by_budget(study, points).values()
    tops = [(top, column) for column in columns for top in rank(study, column, metric).best[:1]]
    return [(point, top) for top, column in tops for point in column if point is not top]
