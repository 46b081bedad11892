"""Tables of what infinitely many images would score, beside those of what was measured."""

from __future__ import annotations

import statistics

from designspace.report.entry import Entry, floor_in, se_of_mean
from designspace.report.study import Study, budgets, comparable
from designspace.report.tables.table import Cell, Table
from designspace.text import measured, one_line, value_of

CAPTION = (
    "Estimates ± standard error of what infinitely many images would score against this reference, by the second order "
    "of the distance's expansion and halves of the images. They may be negative; claims go by the values above."
)


def tables(study: Study, metric: str) -> list[Table]:
    """One for each table of the metric of which some values have an estimate without bias; as a rule, of Fréchet's."""
    groups = ([entry for entry in group if text(entry, metric)] for group in comparable(study.entries, metric))
    return [_table(study, metric, group) for group in groups if group]


def text(entry: Entry, metric: str) -> str:
    """``1.23 ± 0.45``; empty where there is no estimate."""
    found = estimate(entry, metric)
    return measured(*found) if found else ""


def estimate(entry: Entry, metric: str) -> tuple[float, float | None] | None:
    """The mean over the seeds with its standard error; ``None`` where a seed has none."""
    values = [floor_in(row, metric, "bias_corrected") for row in entry.rows]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    errors = [floor_in(row, metric, "bias_corrected_se") for row in entry.rows]
    return statistics.fmean(known), se_of_mean(known, errors)


def _table(study: Study, metric: str, entries: list[Entry]) -> Table:
    title = f"{one_line(entries[0].about(metric).protocol)} without bias"
    if not study.column_axis:
        rows = [[Cell(e.config), Cell(f"{e.nfe:g}"), Cell(text(e, metric))] for e in entries]
        return Table(["configuration", "NFE", title], rows, CAPTION)
    columns = budgets(study, entries)
    at = {(e.config, study.budget(e)): text(e, metric) for e in entries}
    configs = dict.fromkeys(e.config for e in entries)
    rows = [[Cell(config), *(Cell(at.get((config, c), "")) for c in columns)] for config in configs]
    title += f" at {'NFE' if study.column_axis == 'nfe' else 'steps'}"
    return Table([title, *map(value_of, columns)], rows, CAPTION)
