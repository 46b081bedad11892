"""What every figure is drawn with: the look, panels of curves, scales and ticks, legends, and reproducible files.

Figures of designs (``designspace.table``) and of results (``designspace.report.figures``) both use it, and therefore
look alike. matplotlib is imported only when something is drawn, so that importing these modules costs little.
"""
