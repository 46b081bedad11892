"""Table 1 for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from designspace.table.cells import Cell, Row, legend, rows
from designspace.table.columns import Columns
from designspace.table.latex import to_text

NAMES, COLUMN = 24, 26
"""The width of the column of names and the smallest width of the others for legible formulas, in characters."""
MARK = "≠ "
"""The mark of differences from the first column, which is visible without colours."""


def terminal(columns: Columns, width: int) -> RenderableType:
    """The columns side by side or, if they do not fit into ``width`` characters, a list of rows."""
    table = _side_by_side(columns) if width >= NAMES + COLUMN * len(columns) else _by_rows(columns)
    return Group(table, Text(f"{MARK}{legend(columns)}", style="dim")) if legend(columns) else table


def _side_by_side(columns: Columns) -> RenderableType:
    table = Table("", show_lines=True)
    for name in columns:
        table.add_column(Text(name))
    for row in rows(columns):
        cells = [_cell(cell, dim=i > 0 and not cell.differs) for i, cell in enumerate(row.cells)]
        table.add_row(Text(row.name, style="bold"), *cells)
    return table


def _cell(cell: Cell, *, dim: bool) -> Text:
    style = "bold" if cell.differs else "dim" if dim else ""
    name, body = (MARK * cell.differs + cell.name, style or "bold"), (f"\n{to_text(cell.formula)}\n", style)
    text = Text.assemble(name, body, (cell.fields, style or "dim"))
    text.rstrip()
    return text


def _by_rows(columns: Columns) -> RenderableType:
    parts: list[RenderableType] = []
    for row in rows(columns):
        parts.append(Text(row.name, style="bold"))
        for cell, users in _users(row, list(columns)):
            name = MARK * cell.differs + cell.name
            parts.append(Text.assemble("  ", (name, "bold"), f" in {', '.join(users)}"))
            below = [Text(to_text(cell.formula)), Text(cell.fields, style="dim")]
            parts += [Padding(text, (0, 0, 0, 6), expand=False) for text in below if text]
    return Group(*parts)


def _users(row: Row, names: list[str]) -> list[tuple[Cell, list[str]]]:
    found: dict[Cell, list[str]] = {}
    for name, cell in zip(names, row.cells, strict=True):
        found.setdefault(cell, []).append(name)
    return list(found.items())
