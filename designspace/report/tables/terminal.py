"""The report as ``designspace report`` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, Group
from rich.table import Table as RichTable
from rich.text import Text

from designspace.report.entry import Entry
from designspace.report.evidence.caveats import few_effective, too_few_images
from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.sheets import Sheet
from designspace.report.evidence.verdicts import verdicts
from designspace.report.study import Study, rivals
from designspace.report.tables import best, caption, effects, practices, values
from designspace.report.tables.table import Cell, Kind, Table
from designspace.text import clean, counted, joined, number, one_line

MOST_ROWS = 100
"""The largest number of rows of a table that is printed in full."""
MARK = "*"
"""What follows the best values: in a pipe, bold print cannot be seen."""
COLOURS = {
    Outcome.HOLDS: "green",
    Outcome.PART: "yellow",
    Outcome.FAILS: "red",
    Outcome.UNDECIDED: "yellow",
    Outcome.MISSING: "dim",
}


def terminal_table(folder: Path | Study, *, live: bool = False) -> Group:
    """The values, what is favoured, the verdicts and the missing points, for a terminal.

    Values without bias and explanations are left to the pages that the last line names.

    Args:
        folder: The folder of an ablation's results, or a study.
        live: Whether it is printed again and again, so that verdicts must be always valid.

    Raises:
        DataError: If ``folder`` has no readable ``ablation.json``.
    """
    study = folder if isinstance(folder, Study) else Study(folder)
    parts: list[Fitting | Text] = [Text(one_line(study.about.question), style="bold"), Text()]
    for metric in study.about.metrics:
        for table in _of_values(study, metric):
            parts += [Fitting(table), Text(clean(table.caption), style="dim"), Text()]
    for table in practices.tables(study):
        parts += [Fitting(table), Text()]
    if study.search:
        parts += [Text(clean(practices.spent(study.search))), Text()]
    favoured = [pair.favoured for metric in study.about.metrics[:1] for pair in effects.tables(study, metric)]
    for table in favoured:
        parts += [Fitting(table), Text()]
    found = verdicts(study, live=live)
    for one in found:
        parts += [Text.assemble((f"{one.headline}: ", f"bold {COLOURS[one.outcome]}"), clean(one.say))]
    if missing := values.gaps(study):
        parts += [Text(clean(line)) for line in (missing.summary, *missing.points)]
    pages = {
        "values without bias in table.md": any(values.without_bias(study, metric) for metric in study.about.metrics),
        "the effects of all choices in effects.md": bool(favoured),
        "the numbers behind the verdicts in claims.md": bool(found),
    }
    if told := [page for page, is_there in pages.items() if is_there]:
        parts += [Text(f"More: {joined(told)}.", style="dim")]
    return Group(*parts)


def _of_values(study: Study, metric: str) -> Iterator[Table]:
    """The tables of a metric with short captions."""
    groups = rivals(study.entries, metric)
    why = caption.kept_apart(groups, metric)
    for group, table in zip(groups, values.tables(study, metric), strict=True):
        yield _excerpt(replace(table, caption=why + " ".join(_brief(study, metric, group, table))))


def _brief(study: Study, metric: str, group: Sequence[Entry], table: Table) -> Iterator[str]:
    """What the numbers of a table are, and what would make them misleading."""
    first = group[0]
    protocol, higher = one_line(first.about(metric).protocol), first.higher_is_better(metric)
    what = "value ± standard error"
    if any(len(entry.rows) > 1 for entry in group):
        what = "mean over the seeds ± standard error (standard deviation over the seeds)"
    yield f"{protocol}, n = {first.images(metric):,}: {what}; {caption.better(higher)}."
    if drawn := first.drawn(metric):
        yield f"Drawn reference: {number(*drawn)} (standard deviation {drawn[1]:.2g})."
    if any(cell.best for row in table.rows for cell in row):
        of = "the best of each column" if study.column_axis else "the best"
        yield f"{MARK} marks {of}, and what does not differ significantly from it."
    runs = {entry.trainings for entry in group} - {None}
    if runs:
        yield (
            "For one training run of each network."
            if runs == {1}
            else "Errors include the variation between trainings."
        )
    yield from filter(None, [too_few_images(metric, first), caption.idle_steps(group), *caption.unspent(group)])
    yield from list(filter(None, (few_effective(metric, entry) for entry in group)))[:1]


def terminal_best(sheets: Sequence[Sheet]) -> Group:
    """The table of best practices of each protocol and data set: what is favoured, the verdict, and for which model."""
    parts: list[Fitting | Text] = []
    for sheet in sheets:
        whole = best.short(sheet)
        rows = [[cells[0], *cells[2:5]] for cells in whole.rows]
        header = [whole.header[0], *whole.header[2:5]]
        parts += [Text(sheet.title, style="bold"), Fitting(Table(header, rows, ""))]
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


class Fitting:
    """A table whose cells stand on one line each if the terminal is wide enough.

    Otherwise errors and notes stand below their values, and text is wrapped, within words only if it has to be.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RichTable]:
        unlimited = options.update(width=10_000)
        for drawn in (_drawn(self._table), _drawn(self._table, narrow=True, words=True)):
            measured = console.measure(drawn, options=unlimited)
            if (measured.maximum if drawn.columns[0].no_wrap else measured.minimum) <= options.max_width:
                yield drawn
                return
        yield _drawn(self._table, narrow=True)


def _drawn(table: Table, *, narrow: bool = False, words: bool = False) -> RichTable:
    """The table with each cell on one line or, if it is ``narrow``, with wrapped cells, which may keep words whole."""
    drawn = RichTable(box=None, header_style="bold")
    marked = [any(_is_marked(row[i]) for row in table.rows) for i in range(len(table.header))]
    texts = [[_text(cell, pad) for cell, pad in zip(row, marked, strict=True)] for row in table.rows]
    texts = [[_narrow(text) for text in row] for row in texts] if narrow else texts
    for name, right, *column in zip(map(clean, table.header), table.numbers, *texts, strict=True):
        parts = [part for text in (name, *column) for part in (text.split("\n") if right else text.split())]
        least = max(map(len, parts), default=0) if words else None
        style: dict[str, Any] = {"justify": "right" if right else "left", "min_width": least}
        drawn.add_column(Text(name), no_wrap=right or not narrow, overflow="fold", **style)
    for row, cells in zip(table.rows, texts, strict=True):
        drawn.add_row(*(Text(text, style="bold green" if c.best else "") for text, c in zip(cells, row, strict=True)))
    return drawn


def _is_marked(cell: Cell) -> bool:
    return cell.best and cell.kind is Kind.NUMBER


def _text(cell: Cell, pad: bool) -> str:
    """The text of a cell, with ``MARK`` or, in a column with marks, a space in its place."""
    end = MARK if _is_marked(cell) else "\N{NO-BREAK SPACE}" if pad and cell.kind is Kind.NUMBER else ""
    return clean(cell.text) + end


def _narrow(text: str) -> str:
    """Errors and notes below their values, so that six columns fit into 80 characters."""
    return text.replace(" ± ", "\n± ").replace(" [", "\n[")
