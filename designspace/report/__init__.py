"""Reports: tables, figures, verdicts and pages, made from the records of a run without importing components."""

from designspace.report.merged import merge
from designspace.report.study import Study
from designspace.report.tables.terminal import terminal_table
from designspace.report.write import find, write

__all__ = ["Study", "find", "merge", "terminal_table", "write"]
