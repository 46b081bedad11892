"""Differences between two points, with the standard error that their common latents allow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from designspace.report.study import Entry, Study

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
        """The difference in standard errors; 0 if the standard error is not known."""
        if self.se is None:
            return 0.0
        return self.value / self.se if self.se > 0 else math.copysign(math.inf, self.value) if self.value else 0.0

    @property
    def p(self) -> float:
        """The two-sided p-value of the normal approximation."""
        return math.erfc(abs(self.z) / math.sqrt(2))


def difference(study: Study, a: Entry, b: Entry, metric: str) -> Difference:
    r"""Compare two points.

    On the same latents the standard error is :math:`\mathrm{std}(\mathrm{IF}_a - \mathrm{IF}_b) / \sqrt n` of the
    images' influences; where the influences are not at hand, or the seeds differ, the two standard errors are added
    in squares.
    """
    value = a.value(metric) - b.value(metric)
    paired = _paired_se(study, a, b, metric)
    if paired is not None:
        return Difference(value, paired, True)
    one, other = a.se(metric), b.se(metric)
    return Difference(value, None if one is None or other is None else math.hypot(one, other), False)


def _paired_se(study: Study, a: Entry, b: Entry, metric: str) -> float | None:
    if a.protocol(metric) != b.protocol(metric) or [r["seed"] for r in a.rows] != [r["seed"] for r in b.rows]:
        return None
    first, second = study.influence(a, metric), study.influence(b, metric)
    if first is None or second is None:
        return None
    variances = [np.var(x - y, ddof=1) / len(x) for x, y in zip(first, second, strict=True)]
    return math.sqrt(math.fsum(variances)) / len(variances)


def indistinguishable(study: Study, entries: list[Entry], metric: str) -> list[Entry]:
    """The entry with the lowest value, and all that cannot be told from it at 95 %."""
    if not entries:
        return []
    best = min(entries, key=lambda entry: entry.value(metric))
    return [e for e in entries if e is best or abs(difference(study, e, best, metric).z) < Z]
