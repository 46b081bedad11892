r"""Table 1 as a LaTeX ``table*`` for a paper.

Formulas are broken at ``\quad``; parts that are still wider than their column are scaled down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from designspace.table.cells import Cell, Row, legend, rows
from designspace.table.columns import Columns
from designspace.table.latex import FUNCTIONS
from designspace.text import escape_latex

MOST = 4
"""The largest number of columns per table; if there are more, further tables follow that repeat the first column."""
NAMES = 0.15
"""The fraction of the width for the names of the rows."""
PACKAGES = "amsmath, amssymb, array, booktabs, graphicx"
FIT = r"\newcommand{\fit}[1]{\sbox0{$#1$}\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi}%"


def latex(columns: Columns) -> str:
    """One table, or several for many columns. Differences from the first column are bold, as the caption says."""
    names = list(columns)
    parts = [names[i : i + MOST - 1] for i in range(1, len(names), MOST - 1)] or [[]]
    tables = [_table({name: columns[name] for name in (names[0], *part)}, i) for i, part in enumerate(parts)]
    return f"% needs \\usepackage{{{PACKAGES}}}\n" + "\n\n".join(tables)


def escape(text: str) -> str:
    """The text for LaTeX, with possible line breaks inside long names."""
    return escape_latex(text).replace(r"\_", r"\_\allowbreak{}").replace("=", r"=\allowbreak{}")


def _table(columns: Columns, part: int) -> str:
    body = " \\\\\n    \\addlinespace\n".join(f"    {_row(row)}" for row in rows(columns))
    width = (1 - NAMES) / len(columns)
    column = rf">{{\raggedright\arraybackslash}}p{{\dimexpr{width:.4f}\linewidth-2\tabcolsep\relax}}"
    mark = rf" Bold: {escape(legend(columns))}." if legend(columns) else ""
    return rf"""\begin{{table*}}
  \centering\scriptsize\setlength{{\tabcolsep}}{{3pt}}%
  {FIT}
  \caption{{Designs in the rows of Table~1 of Karras et al.\ (2022){", continued" * (part > 0)}.{mark}}}
  \begin{{tabular}}{{@{{}}p{{\dimexpr{NAMES}\linewidth-2\tabcolsep\relax}}{column * len(columns)}@{{}}}}
    \toprule
    & {" & ".join(escape(name) for name in columns)} \\
    \midrule
{body} \\
    \bottomrule
  \end{{tabular}}
\end{{table*}}"""


def _row(row: Row) -> str:
    return "\n      & ".join([rf"\texttt{{{escape(row.name)}}}", *map(_cell, row.cells)])


def _cell(cell: Cell) -> str:
    bold = r"\bfseries " if cell.differs else ""
    math = r"\boldmath" if cell.differs else ""
    lines = [f"{bold}{escape(cell.name)}", *(rf"{math}\fit{{{part}}}" for part in _parts(cell.formula))]
    lines += [f"{bold}{escape(cell.fields)}"] if cell.fields else []
    return r" \newline ".join(f"{{{line}}}" for line in lines)


def _parts(formula: str) -> Iterator[str]:
    r"""Split a formula at each ``\quad``, ``\qquad`` and ``\\`` that is not inside braces or brackets."""
    depth, part = 0, ""
    for token in re.findall(r"\\left.|\\right.|\\[A-Za-z]+|\\.|.", formula.replace("&", "")):
        depth += (token == "{" or token.startswith("\\left")) - (token == "}" or token.startswith("\\right"))
        if depth == 0 and token in (r"\quad", r"\qquad", r"\\"):
            yield from _stripped(part)
            part = ""
        else:
            part += token
    yield from _stripped(part)


def _stripped(part: str) -> Iterator[str]:
    r"""The part, with the braces that pdflatex (unlike MathJax) needs in ``_{\max}``."""
    if text := part.strip().removesuffix(","):
        yield re.sub(rf"([_^])(\\(?:{'|'.join(FUNCTIONS)})\b)", r"\1{\2}", text)
