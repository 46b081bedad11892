"""Table 1 of Karras et al. (2022) for any designs, with the formulas of their components."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

from rich.table import Table

from designspace.component import Component
from designspace.design import Design

Content = list[list[str]]
"""A header, then for each row of the table its name and a cell for each design."""


def columns(presets: Sequence[str]) -> Content:
    """The table of these presets: each cell is the component's name and its formula in LaTeX."""
    designs = [Design.preset(name) for name in presets]
    rows = [row for row in Design.model_fields if row != "to_zero"]
    return [["", *presets], *([row, *(cell(getattr(design, row)) for design in designs)] for row in rows)]


def cell(component: Component) -> str:
    r"""``edm: \sigma / 4``, or the name alone if the docstring has no formula."""
    found = formula(component)
    return f"{component}: {found}" if found else str(component)


def formula(component: Component) -> str:
    """The first displayed formula of the docstring, on one line."""
    doc = inspect.cleandoc(type(component).__doc__ or "")
    block = re.search(r"\.\. math:: (.*?)(\n\n|\Z)", doc, re.S)
    return " ".join(block.group(1).split()) if block else ""


def markdown(content: Content) -> str:
    """A Markdown table with its formulas as mathematics."""
    header, *rows = content
    lines = [header, ["---"] * len(header), *([row[0], *map(_with_mathematics, row[1:])] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rich_table(content: Content) -> Table:
    """The same for a terminal, with formulas as plain text."""
    header, *rows = content
    table = Table(*header, show_lines=True)
    for row in rows:
        table.add_row(*map(plain, row))
    return table


def plain(latex: str) -> str:
    r"""LaTeX as readable text: ``\sqrt{\sigma^2 + 1}`` becomes ``√(σ^2 + 1)``."""
    for pattern, text in _PLAIN:
        latex = re.sub(pattern, text, latex)
    return re.sub(r" {2,}", " ", latex.replace("{", "(").replace("}", ")")).replace("\\", "").strip()


def _with_mathematics(text: str) -> str:
    name, _, latex = text.partition(": ")
    return f"{name}: ${latex.replace('|', chr(92) + 'vert ')}$" if latex else name


_PLAIN = [
    (r"\\(?:mathrm|mathcal|mathtt|text)\{(\w+|[^{}]*)\}", r"\1"),
    (r"\\t?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)"),
    (r"\\t?frac(\w)(\w)", r"\1/\2"),
    (r"\\sqrt (\w)", r"√\1"),
    (r"\\sqrt", "√"),
    (r"_\{(\w+)\}", r"_\1"),
    (r"\^\{(\w+)\}", r"^\1"),
    (r"\\(left|right|q?quad|[,;!])", " "),
    (r"\\dot ?\{?\\sigma\}?", "σ'"),
    (r"\\dot ?\{?s\}?", "s'"),
    (r"\\sigma", "σ"),
    (r"\\alpha", "α"),
    (r"\\beta", "β"),
    (r"\\gamma", "γ"),
    (r"\\epsilon", "ε"),
    (r"\\lambda", "λ"),
    (r"\\rho", "ρ"),
    (r"\\pi", "π"),
    (r"\\Phi", "Φ"),
    (r"\\bar ?", ""),
    (r"\\hat ?", ""),
    (r"\\(sum|prod)", r"\1"),
    (r"\\in\b", "∈"),
    (r"\\sim", "~"),
    (r"\\le\b", "≤"),
    (r"\\ge\b", "≥"),
    (r"\\lfloor", "⌊"),
    (r"\\rfloor", "⌋"),
    (r"\\\\|&", "; "),
]
