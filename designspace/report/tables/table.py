"""A table in memory, and its output as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from designspace.text import escape


class Kind(Enum):
    """The kind of content of a cell, which determines the alignment of its column."""

    TEXT = "text"
    NUMBER = "number"
    ABSENT = "absent"
    """A word in place of a number, such as ``missing``."""


@dataclass(frozen=True)
class Cell:
    """A number with its standard error, or text."""

    text: str
    kind: Kind = Kind.TEXT
    best: bool = False
    """Whether the cell is printed in bold."""


@dataclass(frozen=True)
class Table:
    """A table with its caption, in no particular format."""

    header: list[str]
    rows: list[list[Cell]]
    caption: str

    @property
    def numbers(self) -> list[bool]:
        """For each column, whether it holds only numbers and is therefore right-aligned."""
        kinds = [{row[i].kind for row in self.rows if row[i].text} for i in range(len(self.header))]
        return [Kind.NUMBER in found and Kind.TEXT not in found for found in kinds]


def number_cell(text: str, best: bool = False) -> Cell:
    """A cell with a number; it may be empty."""
    return Cell(text, Kind.NUMBER, best)


def markdown(table: Table) -> list[str]:
    """The lines of the table as Markdown, without its caption."""
    body = [[f"**{escape(c.text)}**" if c.best else escape(c.text) for c in row] for row in table.rows]
    header = [*map(escape, table.header)]
    rule = ["---", *("---:" if number else "---" for number in table.numbers[1:])]
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *body)]


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with columns in the order of their first occurrence; empty if there are no rows."""
    if not rows:
        return ""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
