"""Answers to single questions about an ablation: which points are best, and how two of them differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from designspace.errors import DataError, SpecError
from designspace.report.entry import WORDS, Entry
from designspace.report.evidence.contrasts import Difference, difference
from designspace.report.evidence.differences import Ranking, finite, rank
from designspace.report.evidence.inference import LEVEL
from designspace.report.points import select
from designspace.report.study import Study, rivals
from designspace.report.tables import caption
from designspace.report.tables.table import Cell, Table, html_table, number_cell, text_table
from designspace.results.points import known_as
from designspace.results.uncertainty import critical_value
from designspace.text import config_name, did_you_mean, measured, one_line, p_number, p_value

if TYPE_CHECKING:
    import pandas as pd

Axes = Mapping[str, Any]
AS_DRAWN = "Values below the drawn reference are no better than it: p counts them as equal to it."


@dataclass(frozen=True, eq=False)
class Chosen:
    """The best point within a budget, and what all others within it differ by. It prints as a table."""

    study: Study
    metric: str
    ranking: Ranking

    @property
    def best(self) -> dict[str, Any]:
        """The values of the axes of the point with the best value."""
        return dict(self.ranking.best[0].axes)

    @property
    def equal(self) -> list[dict[str, Any]]:
        """The values of the axes of the other points that do not differ significantly from it."""
        return [dict(entry.axes) for entry in self.ranking.best[1:]]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per point within the budget, best first.

        The columns are the axes; ``label``; ``nfe``, the counted evaluations, and ``nfe_total`` with guidance; the
        ``value`` of the metric and its ``se``; the ``difference`` from the best point, its ``difference_se``, whether
        it is ``paired``, and its ``p``, corrected for all pairs of points, which are missing for the best point itself;
        and the ``verdict``: ``best``, ``equal`` (not significantly worse) or ``worse``. Values below the drawn
        reference are no better than it: for ``p`` and the verdict, they count as equal to it.
        """
        import pandas as pd  # here, because most commands do not need it and the import is slow

        return pd.DataFrame([self._columns(entry) for entry in self._ordered])

    @property
    def _ordered(self) -> list[Entry]:
        sign = -1 if self.ranking.best[0].higher_is_better(self.metric) else 1
        others = sorted(self.ranking.against, key=lambda entry: sign * entry.value(self.metric))
        return [self.ranking.best[0], *others]

    def _verdict(self, entry: Entry) -> str:
        if entry is self.ranking.best[0]:
            return "best"
        return "equal" if entry in self.ranking.best else "worse"

    def _against(self, entry: Entry) -> tuple[Difference | None, float]:
        """The difference of the values from the best one, and the corrected p-value of the ranking.

        The ranking counts values below the drawn reference as equal to it, which only the p-value shows.
        """
        if entry not in self.ranking.against:
            return None, math.nan
        return difference(self.study, entry, self.ranking.best[0], self.metric), self.ranking.against[entry][1]

    def _columns(self, entry: Entry) -> dict[str, Any]:
        gap, p = self._against(entry)
        columns: dict[str, Any] = {
            "label": config_name(entry.axes),
            **{count: entry.spent(count) for count in self.study.counts},
            "value": entry.value(self.metric),
            "se": entry.se(self.metric),
            "difference": gap and gap.value,
            "difference_se": gap and gap.se,
            "paired": gap and gap.paired,
            "p": p if gap else None,
            "verdict": self._verdict(entry),
        }
        return {f"axes.{axis}" if axis in columns else axis: value for axis, value in entry.axes.items()} | columns

    @property
    def _table(self) -> Table:
        header = ["", *(WORDS[count] for count in self.study.counts), self.metric, "worse by", "p"]
        rows = []
        for entry in self._ordered:
            if self._verdict(entry) == "worse":
                continue
            gap, p = self._against(entry)
            sign = -1 if entry.higher_is_better(self.metric) else 1
            by = measured(sign * gap.value, gap.se) if gap else ""
            counts = [number_cell(f"{entry.spent(count):.4g}") for count in self.study.counts]
            value = number_cell(measured(entry.value(self.metric), entry.se(self.metric)), gap is None)
            p_cell = number_cell("" if gap is None or math.isnan(p) else p_number(p))
            rows.append([Cell(config_name(entry.axes)), *counts, value, number_cell(by), p_cell])
        return Table(header, rows, self._caption(len(self.ranking.against) + 1 - len(rows)))

    def _caption(self, worse: int) -> str:
        first = self.ranking.best[0]
        how = f"{self.metric}: {_how(first, self.metric)}"
        others = f"{worse} other{'s are' if worse != 1 else ' is'} significantly worse"
        corrected = f"p is corrected for all pairs of {len(self.ranking.against) + 1} points"
        text = f"{how}, {caption.better(first.higher_is_better(self.metric))}. {others}; {corrected}."
        return f"{text} {AS_DRAWN}" if any(e.below_drawn(self.metric) for e in self.ranking.best) else text

    def __str__(self) -> str:
        return f"{text_table(self._table)}\n{self._table.caption}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{html_table(self._table)}<p>{self._table.caption}</p>"


@dataclass(frozen=True, repr=False)
class Compared:
    """The difference of a metric between two points, the first minus the second. It prints as a sentence."""

    metric: str
    a: dict[str, Any]
    """The values of the axes of the first point."""
    b: dict[str, Any]
    difference: float
    se: float | None
    """The standard error of the difference; ``None`` if it is unknown."""
    low: float
    """The lower end of the 95 % interval; NaN if it is unknown."""
    high: float
    paired: bool
    """Whether the points share latents, so that ``se`` is that of the differences of images."""
    gain: float | None
    """The factor by which the number of images would have to grow for the same ``se`` without pairing, if paired."""
    p: float
    """The two-sided p-value of no difference; NaN if ``se`` is unknown."""
    higher_is_better: bool | None
    protocol: str
    """How both were measured: ``FD-lite0-96-320, n = 3,200``."""

    def __str__(self) -> str:
        names = f"{config_name(self.a)} minus {config_name(self.b)}"
        how = "paired" if self.paired else "not paired"
        found = f"{self.metric} of {names}: {measured(self.difference, self.se)}"
        tested = "no standard error" if math.isnan(self.p) else f"{p_value(self.p)}, {self._verdict}"
        return f"{found}, {tested}\n{how}; {self.protocol}, {caption.better(self.higher_is_better)}"

    __repr__ = __str__

    @property
    def _verdict(self) -> str:
        if self.p > LEVEL:
            return "no significant difference"
        name = config_name(self.a)
        if self.higher_is_better is None:
            return f"{name} is significantly {'higher' if self.difference > 0 else 'lower'}"
        better = (self.difference > 0) == self.higher_is_better
        return f"{name} is significantly {'better' if better else 'worse'}"


def best(study: Study, nfe: float | None, metric: str | None, where: Axes) -> Chosen:
    """See ``Results.best``."""
    name = metric_of(study, metric)
    axes = _known(study, where, "where")
    chosen = [entry for entry in select(study.entries, axes) if entry.has(name)]
    within = [entry for entry in finite(chosen, name) if nfe is None or entry.spent(study.count) <= nfe]
    if not within:
        least = min((entry.spent(study.count) for entry in finite(chosen, name)), default=None)
        why = f"the smallest is {least:.4g}" if least is not None else "no point has a finite value"
        _refuse(study, f"no point with the metric {name} within {WORDS[study.count]} {nfe}: {why}")
    if len(groups := rivals(within, name)) > 1:
        what = caption.differ(groups, name)
        _refuse(study, f"{name}: values of different {what} cannot be compared; choose points with where={{...}}")
    if within[0].higher_is_better(name) is None:
        _refuse(study, f"{name}: neither higher nor lower values are better, so that there is no best one")
    return Chosen(study, name, rank(study, within, name))


def compare(study: Study, a: Axes, b: Axes, metric: str | None) -> Compared:
    """See ``Results.compare``."""
    name = metric_of(study, metric)
    first, second = (_one(study, axes, which, name) for axes, which in ((a, "a"), (b, "b")))
    if first is second:
        _refuse(study, f"a and b are the same point, {config_name(first.axes)}")
    if first.protocol(name) != second.protocol(name):
        what = caption.differ([[first], [second]], name)
        _refuse(study, f"{name}: values of different {what} cannot be compared")
    gap = difference(study, first, second, name)
    half = math.nan if gap.se is None else critical_value(gap.degrees) * gap.se
    points = dict(first.axes), dict(second.axes)
    ends = gap.value - half, gap.value + half
    about = first.higher_is_better(name), _how(first, name)
    return Compared(name, *points, gap.value, gap.se, *ends, gap.paired, gap.gain, gap.p, *about)


def metric_of(study: Study, metric: str | None) -> str:
    """The metric, by default the first one. Raises ``DataError`` if it was not measured."""
    known = study.about.metrics
    name = metric or next(iter(known), "")
    if name not in known:
        listed = ", ".join(known) or "none"
        _refuse(study, f"metric '{name}' was not measured.{did_you_mean(name, known)} Metrics: {listed}.")
    return name


def _how(point: Entry, metric: str) -> str:
    return f"{one_line(point.about(metric).protocol)}, n = {point.images(metric):,}"


def _one(study: Study, axes: Axes, which: str, metric: str) -> Entry:
    found = select(study.points, _known(study, axes, which))
    if len(found) > 1:
        open_ = [axis for axis in study.about.axes if len({point.axes[axis] for point in found}) > 1]
        _refuse(study, f"{which} is {len(found)} points: give a value of {' and '.join(open_)} too")
    if not found[0].has(metric) or not math.isfinite(found[0].value(metric)):
        why = "has no finite value" if found[0].rows else f"is {study.word(found[0])}"
        _refuse(study, f"{which}: {config_name(found[0].axes)} {why}")
    return found[0]


def _known(study: Study, axes: Axes, which: str) -> Axes:
    points: Sequence[dict[str, Any]] = [point.axes for point in study.points]
    try:
        return known_as(axes, points) if axes else {}
    except SpecError as error:
        _refuse(study, f"{which}: {error.problems[0].what}")


def _refuse(study: Study, what: str) -> NoReturn:
    raise DataError(f"{study.folder}: {what}")
