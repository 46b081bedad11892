"""The tables of a report: one module per file that is written.

``values`` makes table.md and table.csv, ``latex`` table.tex, ``comparisons`` and ``effects`` the files of these names,
``claims`` claims.md, and ``terminal`` what the command line prints. All are made of a ``table.Table`` with a
``caption``.
"""
