"""Reports as web pages: one file a page, which loads nothing and needs no network."""

from designspace.report.html.overview import overview
from designspace.report.html.page import NEEDED, available, page

__all__ = ["NEEDED", "available", "overview", "page"]
