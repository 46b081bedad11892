"""Tables as LaTeX, for a paper: booktabs, the best in bold, a caption that says how it was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator

from designspace.report.study import Study
from designspace.report.tables import effect_tables, without_bias
from designspace.report.tables.table import Cell, Table, tables
from designspace.text import escape_latex, one_line

HEAD = r"""% \usepackage{booktabs,graphicx} in the preamble, then \input{table.tex}.
% Written by designspace report: it is written anew with each report."""


def page(study: Study) -> str:
    """All tables of the ablation, each a float of its own."""
    parts = [HEAD, *(_float(table, name) for name, table in _all(study))]
    return "\n\n".join(parts) + "\n"


def _all(study: Study) -> Iterator[tuple[str, Table]]:
    for metric in study.about.metrics:
        for i, table in enumerate(tables(study, metric)):
            yield _label(study, metric, i), table
        for i, table in enumerate(without_bias.tables(study, metric)):
            yield _label(study, metric, "unbiased", i), table
        for i, pair in enumerate(effect_tables.tables(study, metric)):
            yield _label(study, metric, "favoured", i), pair[0]
            yield _label(study, metric, "effects", i), pair[1]


def _label(study: Study, *parts: object) -> str:
    words = [study.about.name, *(part for part in parts if part != 0)]
    return "tab:" + ":".join(re.sub(r"[^a-zA-Z0-9-]", "-", one_line(word)) for word in words)


def _float(table: Table, label: str) -> str:
    """As wide as its column at most: a table that is wider becomes smaller."""
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in table.rows]
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(table.caption)}}}", rf"\label{{{label}}}"]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    lines += [rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in table.numbers)}}}", r"\toprule"]
    lines += [" & ".join(map(escape_latex, table.header)) + r" \\", r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}}", r"\end{table}"])


def _cell(cell: Cell) -> str:
    text = re.sub(r"(?<![\w}])-(?=\d)", "$-$", escape_latex(cell.text))
    return rf"\textbf{{{text}}}" if cell.best and text else text
