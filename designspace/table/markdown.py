"""Table 1 in Markdown, with formulas between dollar signs."""

from __future__ import annotations

import re

from designspace.table.cells import Cell, legend, rows
from designspace.table.columns import Columns
from designspace.text import escape

SAFE = {r"\{": r"\lbrace ", r"\}": r"\rbrace ", "|": r"\vert ", r"\,": " ", r"\;": " ", r"\!": ""}


def markdown(columns: Columns) -> str:
    """A Markdown table. Differences from the first column are bold, which a line below the table explains."""
    lines = [["", *map(escape, columns)], ["---"] * (len(columns) + 1)]
    lines += [[row.name, *map(_cell, row.cells)] for row in rows(columns)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\nBold: {escape(legend(columns))}." if legend(columns) else table


def _cell(cell: Cell) -> str:
    mark = "**" if cell.differs else ""
    latex = portable(cell.formula)
    values = f" ({mark}{escape(cell.fields)}{mark})" if cell.fields else ""
    return f"{mark}{escape(cell.name)}{mark}" + (f": ${latex}$" if latex else "") + values


def portable(latex: str) -> str:
    """The formula on one line, without backslashes before punctuation, which Markdown would treat as escapes."""
    latex = re.sub(r"\s*\\\\\s*", r", \\quad ", latex.replace("&", ""))
    for old, new in SAFE.items():
        latex = latex.replace(old, new)
    return re.sub(" +", " ", latex).strip()
