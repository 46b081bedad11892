"""Differences between points with their standard errors, and the points that do not differ from the best one.

Trials with the same seed start from the same latents, so that they share most of the randomness in their values:
paired differences have far smaller errors than the values themselves.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from designspace.report.entry import Entry, se_in, se_of_mean, value_in
from designspace.report.evidence.inference import LEVEL, as_normal, holm, two_sided, with_best
from designspace.report.study import Study, budgets, comparable
from designspace.results.records import Result

Pair = tuple[Entry, Entry]
MOST = 1000
"""The largest number of comparisons per metric and protocol for which a report lists all pairs.

If there are more, it lists only the comparisons with the best point."""


@dataclass(frozen=True)
class Difference:
    """The metric of one point minus that of another."""

    value: float
    se: float | None
    paired: bool
    independent_se: float | None = None
    """The standard error that the difference would have if the two points had independent seeds."""
    seeds: int | None = None
    """The number of seeds if their scatter is the only source of the standard error; tests then use Student's t."""

    @property
    def z(self) -> float:
        """The difference in units of its standard error; NaN if the standard error is unknown."""
        return self.z_from(0.0)

    def z_from(self, other: float) -> float:
        """How many standard errors the difference lies above ``other``; NaN if the standard error is unknown.

        If the error comes from the scatter of a few seeds, this is the z-value with the same p-value as Student's t.
        """
        if self.se is None:
            return math.nan
        gap = self.value - other
        z = gap / self.se if self.se > 0 else math.copysign(math.inf, gap) if gap else 0.0
        return z if self.seeds is None else as_normal(z, self.seeds - 1)

    @property
    def p(self) -> float:
        """The two-sided p-value under the null hypothesis of no difference; NaN if the standard error is unknown."""
        return two_sided(self.z)

    @property
    def gain(self) -> float | None:
        """The factor by which the number of images would have to grow for the same standard error without pairing.

        This is the squared ratio of the unpaired to the paired standard error; ``None`` for unpaired differences. It is
        infinite if the difference has no error, and below 1 if the influences of the points are negatively correlated.
        """
        if not self.paired or self.se is None or self.independent_se is None:
            return None
        return (self.independent_se / self.se) ** 2 if self.se > 0 else math.inf


def difference(
    study: Study, a: Entry, b: Entry, metric: str, times: float = 1.0, other: Study | None = None
) -> Difference:
    r"""The metric of ``a`` minus ``times`` that of ``b``, paired where possible.

    On common latents, the standard error is :math:`\mathrm{std}(\mathrm{IF}_a - r\, \mathrm{IF}_b) / \sqrt n`, where
    IF are the influences of the images; it is combined over the seeds that both points have. A trial differs from
    itself by 0, without error. If influences are missing or no seed is common, the two points are treated as
    independent.

    Args:
        study: The study that has the results of ``a``, and those of ``b`` unless ``other`` is given.
        a: The first point.
        b: The second point.
        metric: The metric to compare.
        times: The factor r on the second point's metric.
        other: The study that has the results of ``b``.
    """
    first, second = a.seeds, b.seeds
    common = [(first[seed], second[seed]) for seed in first if seed in second]
    paired = [_paired_se((study, one), (other or study, two), metric, times) for one, two in common]
    errors = [se for se in paired if se is not None]
    if common and len(errors) == len(common) and a.protocol(metric) == b.protocol(metric):
        gaps = [value_in(one, metric) - times * value_in(two, metric) for one, two in common]
        alone = _independent_se([one for one, _ in common], [two for _, two in common], metric, times)
        return Difference(statistics.fmean(gaps), se_of_mean(gaps, errors), True, alone)
    alone = _independent_se(a.rows, b.rows, metric, times)
    seeds = min((count for e in (a, b) if (count := e.scattered(metric)) is not None), default=None)
    return Difference(a.value(metric) - times * b.value(metric), alone, False, alone, seeds)


def _independent_se(a: Sequence[Result], b: Sequence[Result], metric: str, times: float) -> float | None:
    """The standard error of the difference of independent means."""
    one, two = (
        se_of_mean([value_in(row, metric) for row in rows], [se_in(row, metric) for row in rows]) for rows in (a, b)
    )
    return None if one is None or two is None else math.hypot(one, times * two)


def _paired_se(a: tuple[Study, Result], b: tuple[Study, Result], metric: str, times: float) -> float | None:
    if times == 1 and _same(a[1], b[1], metric):
        return 0.0
    first, second = (study.influence(row, metric) for study, row in (a, b))
    if first is None or second is None or first.shape != second.shape or len(first) < 2:
        return None
    return float(np.std(first - times * second, ddof=1)) / math.sqrt(len(first))


def _same(a: Result, b: Result, metric: str) -> bool:
    """Whether both rows are the same trial, which happens if a change does not affect the resolved spec."""
    return bool(a.id == b.id) and value_in(a, metric) == value_in(b, metric)


@dataclass(frozen=True)
class Ranking:
    """The best of several points and the comparisons of all others with it."""

    best: list[Entry]
    """The point with the best value, then those that do not differ significantly from it."""
    against: dict[Entry, tuple[Difference, float]]
    """For every other point, its difference from the best one and the p-value after the correction for all pairs."""

    @property
    def unpaired(self) -> int:
        """The number of comparisons without common latents."""
        return sum(not found.paired for found, _ in self.against.values())

    @property
    def unknown(self) -> int:
        """The number of comparisons without a standard error."""
        return sum(found.se is None for found, _ in self.against.values())


def rank(study: Study, entries: Sequence[Entry], metric: str) -> Ranking:
    """Compare every point with the best one, at the 5 % level after the correction for all pairs of points.

    Values below the drawn reference count as equal to it (``_above_drawn``). ``best`` is empty if neither higher nor
    lower values are better.
    """
    known = finite(entries, metric)
    higher = entries[0].higher_is_better(metric) if entries else None
    if not known or higher is None:
        return Ranking([], {})
    top = (max if higher else min)(known, key=lambda entry: entry.value(metric))
    others = [entry for entry in known if entry is not top]
    found = [_above_drawn(difference(study, entry, top, metric), entry, top, metric) for entry in others]
    corrected = with_best([gap.p for gap in found])
    against = {entry: (gap, p) for entry, gap, p in zip(others, found, corrected, strict=True)}
    equal = [e for e, (gap, p) in against.items() if p > LEVEL or (gap.se is None and gap.value == 0)]
    return Ranking([top, *equal], against)


def _above_drawn(gap: Difference, a: Entry, b: Entry, metric: str) -> Difference:
    """The difference of ``a`` from ``b`` if values below the drawn reference count as equal to it.

    Where lower values are better, no images score better than those of the reference itself, except by chance. Such a
    difference is never larger than the difference of the values, so that no test of it is more often wrong.
    """
    depths = [entry.below_drawn(metric) for entry in (a, b)]
    return replace(gap, value=0.0 if all(depths) else gap.value + depths[0] - depths[1])


@dataclass(frozen=True)
class Comparison:
    """Two points and the difference of the first from the second."""

    a: Entry
    b: Entry
    found: Difference
    corrected: float
    """The p-value after Holm's correction for all comparisons that are made together."""


def compared(study: Study, pairs: Iterable[Pair], metric: str, other: Study | None = None) -> list[Comparison]:
    """Compare the points of each pair; the second point is from the study ``other`` if that is given."""
    pairs = list(pairs)
    found = [difference(study, a, b, metric, other=other) for a, b in pairs]
    corrected = holm([gap.p for gap in found])
    return [Comparison(a, b, gap, p) for (a, b), gap, p in zip(pairs, found, corrected, strict=True)]


def all_pairs(study: Study, metric: str, points: Sequence[Entry] | None = None) -> list[list[Comparison]]:
    """For each group of comparable points, the comparisons of all pairs with the same budget.

    ``points`` restricts them to some points of the study.
    """
    groups = comparable(study.entries if points is None else points, metric)
    return [compared(study, _of_equal_budget(study, finite(group, metric)), metric) for group in groups]


def listed(study: Study, metric: str) -> Iterator[list[Comparison]]:
    """For each group of comparable points, the comparisons that the report lists.

    These are all pairs with the same budget or, if there are more than ``MOST``, each point with the best one.
    """
    for group in comparable(study.entries, metric):
        points = finite(group, metric)
        pairs = list(islice(_of_equal_budget(study, points), MOST + 1))
        yield compared(study, pairs if len(pairs) <= MOST else _with_best(study, points, metric), metric)


def by_budget(study: Study, points: Sequence[Entry]) -> dict[object, list[Entry]]:
    """The points of each budget, lowest budget first; all in one group if the ablation has no axis for the budget."""
    return {budget: [p for p in points if study.budget(p) == budget] for budget in budgets(study, points)}


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
