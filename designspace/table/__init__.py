"""Table 1 of Karras et al. (2022) for any designs, as text with formulas and as curves."""

from designspace.table.cells import Cell, Row, fields, rows
from designspace.table.markdown import markdown
from designspace.table.terminal import terminal
from designspace.table.tex import latex

__all__ = ["Cell", "Row", "fields", "latex", "markdown", "rows", "terminal"]
