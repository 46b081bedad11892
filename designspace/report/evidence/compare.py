"""Differences between two points, with the standard error that their common latents allow."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from designspace.report.entry import Entry, se_in, se_of_mean, value_in
from designspace.report.evidence.inference import LEVEL, as_normal, holm, two_sided
from designspace.report.study import Study
from designspace.results.records import Result


@dataclass(frozen=True)
class Difference:
    """The first point's metric minus the second's."""

    value: float
    se: float | None
    paired: bool
    independent_se: float | None = None
    """What the standard error would be if the two points had seeds of their own."""
    seeds: int | None = None
    """If the standard error is the scatter of so few seeds and nothing else: tests are then Student's."""

    @property
    def z(self) -> float:
        """The difference in standard errors; NaN if the standard error is not known."""
        return self.z_from(0.0)

    def z_from(self, other: float) -> float:
        """How many standard errors it lies above ``other``; NaN if the standard error is not known.

        Of an error from few seeds alone: as many as are as unlikely, by Student's distribution.
        """
        if self.se is None:
            return math.nan
        gap = self.value - other
        z = gap / self.se if self.se > 0 else math.copysign(math.inf, gap) if gap else 0.0
        return z if self.seeds is None else as_normal(z, self.seeds - 1)

    @property
    def p(self) -> float:
        """The two-sided p-value by ``z``; NaN if the standard error is not known."""
        return two_sided(self.z)

    @property
    def gain(self) -> float | None:
        """Of pairing: how many times the images independent seeds would need for the same standard error.

        The ratio of the two standard errors, squared; ``None`` without pairs. Infinite for points that differ by a
        number without error, below 1 if the images of the two points pull in opposite directions.
        """
        if not self.paired or self.se is None or self.independent_se is None:
            return None
        return (self.independent_se / self.se) ** 2 if self.se > 0 else math.inf


def difference(
    study: Study, a: Entry, b: Entry, metric: str, times: float = 1.0, other: Study | None = None
) -> Difference:
    r"""Compare two points.

    On the same latents the standard error is :math:`\mathrm{std}(\mathrm{IF}_a - r\, \mathrm{IF}_b) / \sqrt n` of the
    images' influences, combined over the seeds that both have; a trial differs from itself by 0 without error. Where
    the influences are not at hand, or no seed is common, the two standard errors are added in squares.

    Args:
        study: Where ``a`` has its results, and ``b`` too without ``other``.
        a: The first point.
        b: The second one.
        metric: What is compared.
        times: The second point's metric is taken so many times: r.
        other: Where ``b`` has its results.
    """
    first, second = a.seeds, b.seeds
    common = [(first[seed], second[seed]) for seed in first if seed in second]
    paired = [_paired_se((study, one), (other or study, two), metric, times) for one, two in common]
    errors = [se for se in paired if se is not None]
    if common and len(errors) == len(common) and a.protocol(metric) == b.protocol(metric):
        gaps = [value_in(one, metric) - times * value_in(two, metric) for one, two in common]
        alone = _sum([one for one, _ in common], [two for _, two in common], metric, times)
        return Difference(statistics.fmean(gaps), se_of_mean(gaps, errors), True, alone)
    alone = _sum(a.rows, b.rows, metric, times)
    seeds = min((count for e in (a, b) if (count := e.scattered(metric)) is not None), default=None)
    return Difference(a.value(metric) - times * b.value(metric), alone, False, alone, seeds)


def _sum(a: Sequence[Result], b: Sequence[Result], metric: str, times: float) -> float | None:
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
    """Whether they are one trial under two names, as where a change makes configurations equal."""
    return bool(a.id == b.id) and value_in(a, metric) == value_in(b, metric)


@dataclass(frozen=True)
class Ranking:
    """The best of several entries, and which of the others cannot be told from it."""

    best: list[Entry]
    """The lowest, or highest, then those that cannot be told from it."""
    against: dict[Entry, tuple[Difference, float]]
    """Each other one minus the first of them, and the p-value corrected for their number."""

    @property
    def unpaired(self) -> int:
        """Comparisons that had to do without common latents."""
        return sum(not found.paired for found, _ in self.against.values())

    @property
    def unknown(self) -> int:
        """Comparisons for which there is no standard error."""
        return sum(found.se is None for found, _ in self.against.values())


def rank(study: Study, entries: Sequence[Entry], metric: str) -> Ranking:
    """Compare each with the best, lowest or highest, at 95 % after Holm's correction for the number of comparisons.

    Whichever is best in truth is then among ``best`` with a chance of 95 % at least: it is left out only if it comes
    out clearly worse than one that it is not worse than. None is best if neither direction is.
    """
    finite = [entry for entry in entries if math.isfinite(entry.value(metric))]
    higher = entries[0].higher_is_better(metric) if entries else None
    if not finite or higher is None:
        return Ranking([], {})
    top = (max if higher else min)(finite, key=lambda entry: entry.value(metric))
    found = {entry: difference(study, entry, top, metric) for entry in finite if entry is not top}
    corrected = holm([gap.p for gap in found.values()])
    against = {entry: (gap, p) for (entry, gap), p in zip(found.items(), corrected, strict=True)}
    equal = [e for e, (gap, p) in against.items() if p > LEVEL or (gap.se is None and gap.value == 0)]
    return Ranking([top, *equal], against)
