"""Reports: tables, plots and verdicts from what runs wrote. Plain rows come in; no component is needed."""

from designspace.report.write import find, terminal_table, write

__all__ = ["find", "terminal_table", "write"]
