"""The building blocks of all figures: style, panels of curves, scales and ticks, legends, and reproducible files.

Figures of designs (``designspace.table``) and of results (``designspace.report.figures``) share this package, so that
they look alike. matplotlib is imported only when something is drawn, so that importing these modules is fast.
"""
