"""The values of all metrics, as table.md (with a list of missing points) and table.csv.

In tables, rows are configurations and columns are budgets; without an axis for the budget, each row is a point.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import WORDS, Entry, converged_error, number_in, se_in, value_in
from designspace.report.evidence.differences import by_budget, rank
from designspace.report.study import Study, budgets, rivals
from designspace.report.tables import caption, corrected
from designspace.report.tables.corrected import Correction
from designspace.report.tables.table import Cell, Kind, Table, csv_text, markdown, number_cell
from designspace.results.records import Result, further_counts
from designspace.text import counted, describe, escape, measured, number, one_line, value_of

OF_RESULT = ("id", "seed", "nfe", "nfe_sd", "images", "features")
"""The columns of table.csv that all metrics share."""
LISTED = 20
"""The largest number of missing points that are listed individually."""
RECORDED = ("drawn", "drawn_sd", "bias_corrected", "bias_corrected_se", "both_corrected", "both_corrected_se")
"""Numbers in a metric's record that have a column of table.csv if any point has them."""


def page(study: Study) -> str:
    """table.md: the tables of all metrics, and the points that are missing or failed."""
    lines = [f"# {escape(study.about.name)}", "", escape(study.about.question), ""]
    for table in all_tables(study):
        lines += [*markdown(table), "", escape(table.caption), ""]
    if missing := gaps(study):
        lines += [escape(missing.summary), "", *(f"- {escape(point)}" for point in missing.points)]
    return "\n".join(lines).rstrip() + "\n"


def tidy(study: Study, entries: Sequence[Entry] | None = None, *, specs: bool = False) -> str:
    """table.csv: one row per point and seed, with every number in full precision.

    Args:
        study: The study.
        entries: Some of its points; by default all that have results.
        specs: Whether each row also has the resolved spec, one column per field: ``trial.design.solver.name``.
    """
    entries = study.entries if entries is None else entries
    further = further_counts([row for entry in entries for row in entry.rows])

    def columns(entry: Entry, row: Result) -> dict[str, Any]:
        return _flat(entry, row, study, further) | (dict(_fields("trial", row.trial)) if specs else {})

    return csv_text(lambda: (columns(entry, row) for entry in entries for row in entry.rows))


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a spec by their dotted names; lists are written as JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _fields(f"{name}.{key}", item)
    else:
        yield name, json.dumps(value) if isinstance(value, list) else value


def all_tables(study: Study) -> list[Table]:
    """The tables of every metric, each followed by those of the values without bias, if there are any."""
    return [table for metric in study.about.metrics for of in (tables, without_bias) for table in of(study, metric)]


def tables(study: Study, metric: str) -> list[Table]:
    """The tables of a metric, one per protocol, because values of different protocols cannot be compared."""
    groups = rivals(study.entries, metric)
    why = caption.kept_apart(groups, metric)
    return [_table(study, metric, group, why) for group in groups]


def without_bias(study: Study, metric: str) -> list[Table]:
    """The tables of values without bias: for each protocol, one per correction for which there are values."""
    return [
        _without_bias(study, metric, having, correction)
        for group in rivals(study.entries, metric)
        for correction, having in corrected.shown(group, metric)
    ]


@dataclass(frozen=True)
class Gaps:
    """The points that a partial run has not computed."""

    summary: str
    points: list[str]
    """One line per point that failed, then one per point that is missing."""


def gaps(study: Study) -> Gaps | None:
    """The points that failed or are missing; ``None`` if the study is complete."""
    missing = [point for point in study.points if len(point.rows) < point.expected]
    if not missing:
        return None
    lines = [f"failed: {describe(failure.axes)}: {failure.error}" for failure in study.failures]
    waiting = [point for point in missing if not study.failed(point)]
    for point in waiting[:LISTED]:
        seeds = f" ({len(point.rows)} of {point.expected} seeds)" if point.rows else ""
        lines.append(f"missing: {describe(point.axes)}{seeds}")
    if len(waiting) > LISTED:
        lines.append(f"missing: {len(waiting) - LISTED} more")
    verb = "is" if len(missing) == 1 else "are"
    return Gaps(f"{len(missing):,} of {counted(len(study.points), 'point')} {verb} not complete:", lines)


def _table(study: Study, metric: str, entries: list[Entry], why: str) -> Table:
    # If there are several tables, the one in which a missing point belongs is unknown.
    points = entries if why else [point for point in study.points if point.has(metric) or not point.rows]
    ranked = [rank(study, column, metric) for column in by_budget(study, entries).values()]
    best = {entry for ranking in ranked for entry in ranking.best}
    protocol = one_line(entries[0].about(metric).protocol)
    header, rows = _arranged(study, points, protocol, lambda point: _cell(study, point, metric, point in best))
    return Table(header, rows, caption.of_table(study, metric, entries, ranked, why))


def _without_bias(study: Study, metric: str, entries: Sequence[Entry], correction: Correction) -> Table:
    def cell(entry: Entry) -> Cell:
        found = corrected.estimate(entry, metric, correction)
        return number_cell(measured(*found) + _unspent(entry) if found else "")

    name = one_line(entries[0].about(metric).protocol)
    title = f"{name} without bias (reference: {correction.reference})"
    told = [correction.caption, *caption.unspent(entries)]
    return Table(*_arranged(study, entries, title, cell), " ".join(told))


def _arranged(
    study: Study, points: Sequence[Entry], title: str, cell: Callable[[Entry], Cell]
) -> tuple[list[str], list[list[Cell]]]:
    """The header and the rows of a table of points."""
    if not study.column_axis:
        rows = [
            [Cell(p.config), *(number_cell(f"{p.spent(count):g}" if p.rows else "") for count in study.counts), cell(p)]
            for p in points
        ]
        return ["configuration", *(WORDS[count] for count in study.counts), title], rows
    columns = budgets(study, points)
    at = {(point.config, study.budget(point)): cell(point) for point in points}
    rows = [
        [Cell(config), *(at.get((config, column), Cell("")) for column in columns)]
        for config in dict.fromkeys(point.config for point in points)
    ]
    return [f"{title} at {study.budget_word}", *map(value_of, columns)], rows


def _cell(study: Study, point: Entry, metric: str, best: bool) -> Cell:
    """A value, ``12.3 ± 0.4``; for several seeds also their standard deviation, ``12.3 ± 0.4 (0.6)``.

    In brackets, how many of the seeds have results and how many evaluations were spent, if either is not as asked for.
    """
    if not point.has(metric):
        return Cell(study.word(point), Kind.ABSENT)
    spread, done = point.spread(metric), len(point.rows)
    text = measured(point.value(metric), point.se(metric))
    text += "" if spread is None else f" ({number(spread, spread)})"
    text += f" [{done} of {point.expected} seeds]" if done < point.expected else ""
    return number_cell(text + _unspent(point), best)


def _unspent(point: Entry) -> str:
    """`` [7 NFE]`` if the counted evaluations are not those of the budget."""
    return f" [{point.spent(point.limited):.4g} {WORDS[point.limited]}]" if point.unspent else ""


def _flat(entry: Entry, row: Result, study: Study, further: list[str]) -> dict[str, Any]:
    columns: dict[str, object] = {key: getattr(row, key) for key in (*OF_RESULT, *further)}
    for metric in study.about.metrics:
        if entry.has(metric):
            columns |= {metric: value_in(row, metric), f"{metric}_se": se_in(row, metric)}
            columns[f"{metric}_protocol"] = entry.about(metric).protocol
            recorded = {which: number_in(row, metric, which) for which in RECORDED}
            recorded["error_of_converged_solution"] = converged_error(row, metric)
            columns |= {f"{metric}_{which}": found for which, found in recorded.items() if found is not None}
    return {f"axes.{axis}" if axis in columns else axis: value for axis, value in entry.axes.items()} | columns
