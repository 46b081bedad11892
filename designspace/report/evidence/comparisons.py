"""Every two configurations of the same budget: how they differ, how sure that is, and what pairing gains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from designspace.report.entry import Entry
from designspace.report.evidence.compare import Difference, difference, rank
from designspace.report.evidence.inference import holm
from designspace.report.study import Study, budgets, comparable

Pair = tuple[Entry, Entry]
MOST = 1000
"""Comparisons of a metric by one protocol that the report lists; of more, those with the best of each budget."""


@dataclass(frozen=True)
class Comparison:
    """Two points, and the first one's metric minus the second's."""

    a: Entry
    b: Entry
    found: Difference
    corrected: float
    """The p-value after Holm's correction for all comparisons of the metric that are made at once."""


def compared(study: Study, pairs: Iterable[Pair], metric: str, other: Study | None = None) -> list[Comparison]:
    """Compare the two points of each pair, the second of which is in ``other`` if that is given."""
    pairs = list(pairs)
    found = [difference(study, a, b, metric, other=other) for a, b in pairs]
    corrected = holm([gap.p for gap in found])
    return [Comparison(a, b, gap, p) for (a, b), gap, p in zip(pairs, found, corrected, strict=True)]


def equal_budgets(study: Study, points: Sequence[Entry]) -> Iterator[Pair]:
    """Every two of the points that have the same budget; all, if the ablation has no axis of the cost."""
    for budget in budgets(study, points):
        yield from combinations([point for point in points if study.budget(point) == budget], 2)


def all_pairs(study: Study, metric: str, points: Sequence[Entry] | None = None) -> list[list[Comparison]]:
    """For each group of the points that may be compared, every two of the same budget."""
    groups = comparable(study.entries if points is None else points, metric)
    return [compared(study, equal_budgets(study, finite(group, metric)), metric) for group in groups]


def listed(study: Study, metric: str) -> Iterator[list[Comparison]]:
    """For each group that may be compared, every two of the same budget; of more than ``MOST``, each with the best."""
    for group in comparable(study.entries, metric):
        points = finite(group, metric)
        pairs = list(islice(equal_budgets(study, points), MOST + 1))
        yield compared(study, pairs if len(pairs) <= MOST else _with_best(study, points, metric), metric)


def _with_best(study: Study, points: Sequence[Entry], metric: str) -> list[Pair]:
    columns = [[p for p in points if study.budget(p) == budget] for budget in budgets(study, points)]
    tops = [(top, column) for column in columns for top in rank(study, column, metric).best[:1]]
    return [(point, top) for top, column in tops for point in column if point is not top]


def finite(entries: Iterable[Entry], metric: str) -> list[Entry]:
    """Those whose metric is a number."""
    return [entry for entry in entries if math.isfinite(entry.value(metric))]
