"""The rows of an ablation that changes one at a time, by how much they change a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.effects import Effects, effects
from designspace.report.evidence.factors import VARIANT
from designspace.report.study import Study, rivals


@dataclass(frozen=True, eq=False)
class Change:
    """The largest change of a metric by any choice of a row."""

    row: str
    """The row, or another field that the ablation changes."""
    choice: str
    """The choice that changes the metric most: ``c_skip=one``."""
    found: Difference
    """Its value minus the baseline's."""
    interval: tuple[float, float] | None
    """The 95 % interval; those of all choices of all rows hold together. ``None`` without a standard error."""

    @property
    def significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, eq=False)
class Changes:
    """The rows at one budget, those with the largest change first."""

    budget: object
    baseline: Entry
    rows: tuple[Change, ...]
    choices: int
    """The number of choices of all rows, for which the intervals are corrected (Bonferroni)."""


def changes(study: Study, metric: str) -> list[Changes]:
    """For each group of rivals, the rows at the highest budget.

    Empty unless the ablation changes one row at a time.
    """
    groups = zip(rivals(study.entries, metric), effects(study, metric), strict=True)
    return [found for group, of in groups if (found := _of(study, group, of))]


def _of(study: Study, group: Sequence[Entry], found: Sequence[Effects]) -> Changes | None:
    of_rows = [one for one in found if one.factor.axes == (VARIANT,) and one.against and one.lines == 1]
    last = [one for one in of_rows if one.budget == of_rows[-1].budget]
    if len(last) < 2:
        return None
    base = next(
        e for e in group if e.axes.get(VARIANT) == last[0].factor.choices[0] and study.budget(e) == last[0].budget
    )
    count = sum(len(one.against) for one in last)
    ordered = sorted((_largest(one, count) for one in last), key=lambda change: -abs(change.found.value))
    return Changes(last[0].budget, base, tuple(ordered), count)


def _largest(one: Effects, count: int) -> Change:
    choice = max(one.against, key=lambda choice: abs(one.against[choice].value))
    gap = one.against[choice]
    return Change(one.factor.name, str(choice), gap, gap.interval(count))
