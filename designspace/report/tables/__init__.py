"""The tables of a report: one module per file that is written.

``values`` makes table.md and table.csv, ``latex`` makes table.tex, ``comparisons``, ``effects``, ``interactions`` and
``claims`` make the files with these names, and ``terminal`` makes the output of the command line. All use
``table.Table`` and ``caption``.
"""
