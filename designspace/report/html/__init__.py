"""Reports as web pages, each a self-contained file that works offline.

``page`` makes the page of an ablation, with the ``answer`` on top, its ``certainty``, a plot and tables for each of its
``sections``, and its ``trials``; ``overview`` makes the page of all ablations, and ``best`` that of best practices.
``render`` fills the templates in ``templates/``.
"""

from designspace.report.html.best import best
from designspace.report.html.overview import overview
from designspace.report.html.page import NEEDED, available, page

__all__ = ["NEEDED", "available", "best", "overview", "page"]
