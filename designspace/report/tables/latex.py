"""table.tex: the tables for a paper, with booktabs, the best values in bold and captions that name the protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator

from designspace.report.study import Study
from designspace.report.tables import effects, values
from designspace.report.tables.table import Cell, Table
from designspace.text import escape_latex, one_line

HEAD = r"""% \usepackage{booktabs,graphicx} in the preamble, then \input{table.tex}.
% Written by designspace report, which overwrites it."""


def page(study: Study) -> str:
    """table.tex: all tables of the ablation, each as a float."""
    parts = [HEAD, *(_float(table, label) for label, table in _labelled(study))]
    return "\n\n".join(parts) + "\n"


def _labelled(study: Study) -> Iterator[tuple[str, Table]]:
    for metric in study.about.metrics:
        for i, table in enumerate(values.tables(study, metric)):
            yield _label(study, metric, i), table
        for i, table in enumerate(values.without_bias(study, metric)):
            yield _label(study, metric, "unbiased", i), table
        for i, (favoured, behind) in enumerate(effects.tables(study, metric)):
            yield _label(study, metric, "favoured", i), favoured
            yield _label(study, metric, "effects", i), behind


def _label(study: Study, *parts: object) -> str:
    words = [study.about.name, *(part for part in parts if part != 0)]
    return "tab:" + ":".join(re.sub(r"[^a-zA-Z0-9-]", "-", one_line(word)) for word in words)


def _float(table: Table, label: str) -> str:
    """A table that is wider than its column is scaled down."""
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in table.rows]
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(table.caption)}}}", rf"\label{{{label}}}"]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    lines += [rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in table.numbers)}}}", r"\toprule"]
    lines += [" & ".join(map(escape_latex, table.header)) + r" \\", r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}}", r"\end{table}"])


def _cell(cell: Cell) -> str:
    text = re.sub(r"(?<![\w}])-(?=\d)", "$-$", escape_latex(cell.text))
    return rf"\textbf{{{text}}}" if cell.best and text else text
