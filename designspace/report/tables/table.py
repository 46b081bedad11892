"""A table in memory, and its output as Markdown, HTML and CSV."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from designspace.text import escape, one_line

FORMULA = ("=", "+", "-", "@")


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
    link: str = ""
    """Where the cell's text leads to, in Markdown and HTML."""


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
    body = [[_markdown(cell) for cell in row] for row in table.rows]
    header = [*map(escape, table.header)]
    rule = ["---", *("---:" if number else "---" for number in table.numbers[1:])]
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *body)]


def _markdown(cell: Cell) -> str:
    text = f"**{escape(cell.text)}**" if cell.best else escape(cell.text)
    return f"[{text}]({cell.link})" if cell.link else text


def html_table(table: Table) -> str:
    """The table as a fragment of HTML, without its caption."""
    header = "".join(f"<th>{html.escape(name)}</th>" for name in map(one_line, table.header))
    body = "".join(f"<tr>{''.join(map(_html, row))}</tr>" for row in table.rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def _html(cell: Cell) -> str:
    text = html.escape(one_line(cell.text))
    text = f"<b>{text}</b>" if cell.best else text
    text = f'<a href="{html.escape(cell.link)}">{text}</a>' if cell.link else text
    return f'<td style="text-align: {"right" if cell.kind is Kind.NUMBER else "left"}">{text}</td>'


def text_table(table: Table) -> str:
    """The table as aligned plain text, without its caption."""
    rows = [[*map(one_line, table.header)], *([one_line(cell.text) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    just = [str.rjust if right else str.ljust for right in table.numbers]
    aligned = ("  ".join(of(text, w) for of, text, w in zip(just, row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in aligned)


def csv_text(rows: Callable[[], Iterable[Mapping[str, Any]]]) -> str:
    """Rows as CSV, with columns in the order of their first occurrence; empty if there are no rows.

    ``rows`` is called twice, so that all rows never have to be in memory. Spreadsheets take text that begins with one
    of ``FORMULA`` for a formula, which may run commands, so that such text is written after an apostrophe. Numbers are
    written as they are. Text is on one line, without characters that control a terminal.
    """
    columns = list(dict.fromkeys(key for row in rows() for key in row))
    if not columns:
        return ""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(_csv_cell, columns))
    writer.writerows([_csv_cell(row.get(column)) for column in columns] for row in rows())
    return file.getvalue()


def _csv_cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) or text == "-inf"
    except ValueError:
        return False
