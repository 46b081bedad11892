"""The report as ``designspace report`` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.sheets import Sheet
from designspace.report.evidence.verdicts import verdicts
from designspace.report.study import Study
from designspace.report.tables import best, effects, practices, values
from designspace.report.tables.table import Table
from designspace.text import clean, counted, one_line

MOST_ROWS = 100
"""The largest number of rows of a table that is printed in full."""
COLOURS = {
    Outcome.HOLDS: "green",
    Outcome.PART: "yellow",
    Outcome.FAILS: "red",
    Outcome.UNDECIDED: "yellow",
    Outcome.MISSING: "dim",
}


def terminal_table(folder: Path | Study, *, live: bool = False) -> Group:
    """The tables, the verdicts and the missing points, for a terminal 80 characters wide.

    Args:
        folder: The folder of an ablation's results, or a study.
        live: Whether it is printed again and again, so that verdicts must be always valid.

    Raises:
        DataError: If ``folder`` has no readable ``ablation.json``.
    """
    study = folder if isinstance(folder, Study) else Study(folder)
    parts: list[RichTable | Text] = [Text(one_line(study.about.question), style="bold"), Text()]
    favoured = [pair.favoured for metric in study.about.metrics[:1] for pair in effects.tables(study, metric)]
    for table in practices.tables(study):
        parts += [_drawn(table), Text()]
    if study.search:
        parts += [Text(clean(practices.spent(study.search))), Text()]
    for table in values.all_tables(study) + favoured:
        shown = _excerpt(table)
        parts += [_drawn(shown), Text(clean(shown.caption), style="dim"), Text()]
    for found in verdicts(study, live=live):
        parts += [Text.assemble((f"{found.headline}: ", f"bold {COLOURS[found.outcome]}"), clean(found.say))]
        parts += [Text(f"  {clean(found.numbers)}", style="dim")]
    if missing := values.gaps(study):
        parts += [Text(clean(line)) for line in (missing.summary, *missing.points)]
    return Group(*parts)


def terminal_best(sheets: Sequence[Sheet]) -> Group:
    """The table of best practices of each protocol and data set: what is favoured, the verdict, and for which model."""
    parts: list[RichTable | Text] = []
    for sheet in sheets:
        whole = best.short(sheet)
        rows = [[cells[0], *cells[2:5]] for cells in whole.rows]
        header = [whole.header[0], *whole.header[2:5]]
        parts += [Text(sheet.title, style="bold"), _drawn(Table(header, rows, ""))]
        told = [*filter(None, [whole.caption]), *best.headlines(sheet)]
        parts += [*(Text(clean(line)) for line in told), Text()]
    return Group(*parts)


def _excerpt(table: Table) -> Table:
    """The table or, if it has more than ``MOST_ROWS`` rows, an excerpt with those that have a value in bold first."""
    more = len(table.rows) - MOST_ROWS
    if more <= 0:
        return table
    ranked = sorted(range(len(table.rows)), key=lambda row: not any(cell.best for cell in table.rows[row]))
    rows = [table.rows[row] for row in sorted(ranked[:MOST_ROWS])]
    return Table(table.header, rows, f"{table.caption} The whole table, with {counted(more, 'more row')}, is table.md.")


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=None, header_style="bold")
    for name, right in zip(table.header, table.numbers, strict=True):
        drawn.add_column(Text(clean(name)), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(_narrow(clean(c.text)), style="bold green" if c.best else "") for c in row))
    return drawn


def _narrow(text: str) -> str:
    """Errors and notes below their values, so that six columns fit into 80 characters."""
    return text.replace(" ± ", "\n± ").replace(" [", "\n[")
