"""Reports as web pages, each a single file that loads nothing and needs no network.

``page`` is the page of an ablation, with its ``answer`` on top, a plot and tables for each of its ``sections``, and its
``trials``; ``overview`` is the page of all ablations. ``render`` fills the templates and scripts of ``templates/``.
"""

from designspace.report.html.overview import overview
from designspace.report.html.page import NEEDED, available, page

__all__ = ["NEEDED", "available", "overview", "page"]
