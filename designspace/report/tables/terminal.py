"""The report for a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from designspace.report.evidence import claims
from designspace.report.study import Study
from designspace.report.tables import effect_tables, markdown, without_bias
from designspace.report.tables.table import Table, tables
from designspace.text import one_line

COLOURS = {"holds": "green", "does not hold": "red", "undecided": "yellow", "not computed": "dim"}


def terminal_table(folder: Path | Study) -> Group:
    """The tables, the verdicts, and what is missing. Raises ``DataError`` if ``folder`` describes no ablation."""
    study = folder if isinstance(folder, Study) else Study(folder)
    parts: list[RichTable | Text] = [Text(one_line(study.about.question), style="bold"), Text()]
    for metric in study.about.metrics:
        for table in tables(study, metric) + without_bias.tables(study, metric):
            parts += [_drawn(table), Text(table.caption, style="dim"), Text()]
    for favoured, _ in [pair for metric in study.about.metrics[:1] for pair in effect_tables.tables(study, metric)]:
        parts += [_drawn(favoured), Text(favoured.caption, style="dim"), Text()]
    for found in claims.verdicts(study):
        parts += [Text.assemble((f"{found.verdict}: ", f"bold {COLOURS[found.verdict]}"), found.say)]
        parts += [Text(f"  {found.numbers}", style="dim")]
    parts += [Text(one_line(line)) for line in markdown.gaps(study)]
    return Group(*parts)


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=None, header_style="bold")
    for name, right in zip(table.header, table.numbers, strict=True):
        drawn.add_column(name, justify="right" if right else "left", no_wrap=right)
    for row in table.rows:  # errors below their values, so that six columns fit into 80 characters
        drawn.add_row(*(Text(c.text.replace(" ± ", "\n± "), style="bold green" if c.best else "") for c in row))
    return drawn
