"""The results of an ablation as a list of its points, which is how they print in Python."""

from __future__ import annotations

from collections.abc import Sequence

from designspace.report.entry import BUDGET, WORDS, Entry
from designspace.report.evidence.factors import BASELINE, VARIANT
from designspace.report.study import Study, rivals
from designspace.report.tables import caption
from designspace.report.tables.table import Cell, Kind, Table, number_cell
from designspace.text import counted, measured, value_of

MOST = 60
"""The largest number of rows that are printed."""


def table(study: Study) -> Table:
    """One row per point: the values of its axes, the counted evaluations, and each metric ± its standard error.

    A column marks the baseline, if it is one of the points.
    """
    shown, axes, metrics = study.points[:MOST], study.about.axes, study.about.metrics
    marked = any(is_baseline(study, point) for point in shown)
    header = [*axes, *(WORDS[count] for count in study.counts), *metrics, *[""] * marked]
    rows = []
    for point in shown:
        values = [_axis(point.axes[axis]) for axis in axes]
        spent = [number_cell(f"{point.spent(count):.4g}" if point.rows else "") for count in study.counts]
        mark = [Cell(BASELINE if is_baseline(study, point) else "")] * marked
        rows.append([*values, *spent, *(_value(study, point, metric) for metric in metrics), *mark])
    return Table(header, rows, " ".join(_caption(study, len(study.points) - len(shown))))


def is_baseline(study: Study, point: Entry) -> bool:
    """Whether a point has the baseline's value on every axis but that of the budget."""
    base = study.about.baseline_axes or {VARIANT: BASELINE}
    own = {axis: value for axis, value in point.axes.items() if axis not in BUDGET}
    return bool(own) and own.keys() <= base.keys() and all(base[axis] == value for axis, value in own.items())


def _axis(value: object) -> Cell:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(value_of(value), Kind.NUMBER if number else Kind.TEXT)


def _value(study: Study, point: Entry, metric: str) -> Cell:
    if not point.has(metric):
        return Cell("" if point.rows else study.word(point), Kind.ABSENT)
    return number_cell(measured(point.value(metric), point.se(metric)))


def _caption(study: Study, more: int) -> list[str]:
    left_out = f"... and {counted(more, 'more point')}, which the property frame has." if more else ""
    about = [_measured(metric, rivals(study.entries, metric)) for metric in study.about.metrics]
    return [text for text in (left_out, *about) if text]


def _measured(metric: str, groups: Sequence[list[Entry]]) -> str:
    if not groups:
        return ""
    first = groups[0][0]
    how = " or ".join(dict.fromkeys(f"{g[0].about(metric).protocol}, n = {g[0].images(metric):,}" for g in groups))
    apart = f"; values of different {caption.differ(groups, metric)} cannot be compared" if len(groups) > 1 else ""
    return f"{metric}: {how}, {caption.better(first.higher_is_better(metric))}{apart}."
