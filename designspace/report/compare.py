"""Differences between two points, with the standard error that their common latents allow."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import numpy as np

from designspace.report.entry import Entry, Row, se_of_mean, value_in
from designspace.report.study import Study

Z = 1.959963984540054
"""Of a two-sided test at 5 %."""


@dataclass(frozen=True)
class Difference:
    """The first point's metric minus the second's."""

    value: float
    se: float | None
    paired: bool

    @property
    def z(self) -> float:
        """The difference in standard errors; NaN if the standard error is not known."""
        if self.se is None:
            return math.nan
        return self.value / self.se if self.se > 0 else math.copysign(math.inf, self.value) if self.value else 0.0

    @property
    def p(self) -> float:
        """The two-sided p-value of the normal approximation."""
        return math.erfc(abs(self.z) / math.sqrt(2))

    @property
    def verdict(self) -> str:
        """Whether the first is less: ``holds``, ``does not hold``, or ``undecided`` at 95 %."""
        if self.z <= -Z:
            return "holds"
        return "does not hold" if self.z >= Z else "undecided"


def difference(study: Study, a: Entry, b: Entry, metric: str) -> Difference:
    r"""Compare two points.

    On the same latents the standard error is :math:`\mathrm{std}(\mathrm{IF}_a - \mathrm{IF}_b) / \sqrt n` of the
    images' influences, combined over the seeds that both have. Where the influences are not at hand, or no seed is
    common, the two standard errors are added in squares.
    """
    first, second = a.seeds, b.seeds
    common = [(first[seed], second[seed]) for seed in first if seed in second]
    errors = [se for pair in common if (se := _paired_se(study, *pair, metric)) is not None]
    if common and len(errors) == len(common) and a.protocol(metric) == b.protocol(metric):
        gaps = [value_in(one, metric) - value_in(other, metric) for one, other in common]
        return Difference(statistics.fmean(gaps), se_of_mean(gaps, errors), True)
    ses = a.se(metric), b.se(metric)
    return Difference(a.value(metric) - b.value(metric), math.hypot(*ses) if None not in ses else None, False)  # type: ignore[arg-type]


def _paired_se(study: Study, a: Row, b: Row, metric: str) -> float | None:
    first, second = study.influence(a, metric), study.influence(b, metric)
    if first is None or second is None or first.shape != second.shape or len(first) < 2:
        return None
    return float(np.std(first - second, ddof=1)) / math.sqrt(len(first))


@dataclass(frozen=True)
class Ranking:
    """The best of several entries, and which of the others cannot be told from it."""

    best: list[Entry]
    unpaired: int
    """Comparisons that had to do without common latents."""
    unknown: int
    """Comparisons for which there is no standard error."""


def rank(study: Study, entries: list[Entry], metric: str) -> Ranking:
    """Compare each with the lowest, or the highest if higher is better, at 95 %; none is best if neither is."""
    finite = [entry for entry in entries if math.isfinite(entry.value(metric))]
    higher = entries[0].higher_is_better(metric) if entries else None
    if not finite or higher is None:
        return Ranking([], 0, 0)
    best = (max if higher else min)(finite, key=lambda entry: entry.value(metric))
    against = {e: difference(study, e, best, metric) for e in finite if e is not best}
    equal = [e for e, d in against.items() if abs(d.z) < Z or (d.se is None and d.value == 0)]
    unknown = sum(d.se is None for d in against.values())
    return Ranking([best, *equal], sum(not d.paired for d in against.values()), unknown)
