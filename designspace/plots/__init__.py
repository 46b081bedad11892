"""The rows of Table 1 as curves, for any designs: ``curves_of`` gives numbers, ``figures`` draws them.

>>> from designspace.columns import read_columns
>>> curves = curves_of(read_columns(["edm", "vp:solver=heun"]))
>>> curves[0].name, curves[0].levels.shape
('edm', (18,))
"""

from designspace.table.curves import RowCurves, curves_of
from designspace.table.draw import figure
from designspace.table.panels import Panel, figures, sheets

__all__ = ["Panel", "RowCurves", "curves_of", "figure", "figures", "sheets"]
