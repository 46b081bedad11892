"""Table 1 of Karras et al. (2022) for any presets, with the formulas of their components' docstrings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from designspace.component import Component
from designspace.design import Design
from designspace.latex import to_text

NAMES, COLUMN = 24, 26
"""Characters that the names of the rows take, and that a column needs so that its formulas can be read."""

Columns = Mapping[str, Design]


def presets(names: Sequence[str]) -> Columns:
    """The designs of these names. Raises ``ValueError`` with a suggestion if there is no such preset."""
    return {name: Design.preset(name) for name in names}


def formula(component: Component) -> str:
    """The first displayed formula of the docstring, in LaTeX on one line; empty if there is none."""
    doc = inspect.cleandoc(type(component).__doc__ or "")
    block = re.search(r"\.\. math::\s+(.*?)(\n\s*\n|\Z)", doc, re.S)
    return " ".join(block.group(1).split()) if block else ""


def fields(component: Component) -> str:
    """``sigma_min = 0.002, sigma_max = 80, rho = 7``; empty if the component has none."""
    values = component.model_dump()
    return ", ".join(f"{key} = {written(values[key])}" for key in type(component).model_fields)


def written(value: object) -> str:
    """A field's value as it is written in YAML: ``7``, ``true``, ``[0.4, 0.6]``."""
    if isinstance(value, float):
        return f"{value:.10g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def markdown(columns: Columns) -> str:
    """A Markdown table, formulas as mathematics."""
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *map(_markdown_cell, components)] for row, components in _rows(columns)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def terminal(columns: Columns, width: int) -> RenderableType:
    """For a terminal: columns side by side or, where there is no room for them, a list by rows."""
    return _side_by_side(columns) if width >= NAMES + COLUMN * len(columns) else _by_rows(columns)


def _rows(columns: Columns) -> Iterator[tuple[str, list[Component]]]:
    for row in Design.model_fields:
        if row != "to_zero":
            yield row, [getattr(design, row) for design in columns.values()]


def _side_by_side(columns: Columns) -> Table:
    table = Table("", *columns, show_lines=True)
    for row, components in _rows(columns):
        cells = [Text.assemble((c.name, "bold"), f"\n{to_text(formula(c))}\n", (fields(c), "dim")) for c in components]
        for cell in cells:
            cell.rstrip()
        table.add_row(Text(row, style="bold"), *cells)
    return table


def _by_rows(columns: Columns) -> Group:
    parts: list[RenderableType] = []
    for row, components in _rows(columns):
        parts.append(Text(row, style="bold"))
        for component in dict.fromkeys(components):
            users = [name for name, own in zip(columns, components, strict=True) if own == component]
            parts.append(Text.assemble("  ", (component.name, "bold"), f" in {', '.join(users)}"))
            below = [Text(to_text(formula(component))), Text(fields(component), style="dim")]
            parts += [Padding(text, (0, 0, 0, 6), expand=False) for text in below if text]
    return Group(*parts)


def _markdown_cell(component: Component) -> str:
    latex, values = _portable(formula(component)), fields(component)
    return component.name + (f": ${latex}$" if latex else "") + (f" ({values})" if values else "")


def _portable(latex: str) -> str:
    """One line that means the same where Markdown takes a backslash before punctuation for its own."""
    latex = re.sub(r"\s*\\\\\s*", r", \\quad ", latex.replace("&", ""))
    for old, new in {r"\{": r"\lbrace ", r"\}": r"\rbrace ", "|": r"\vert ", r"\,": " ", r"\;": " ", r"\!": ""}.items():
        latex = latex.replace(old, new)
    return re.sub(" +", " ", latex).strip()
