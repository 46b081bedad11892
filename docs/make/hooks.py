"""What mkdocs calls: pages made from the package and from the notebook, pictures of reports, and formulas as MathML."""

from __future__ import annotations

import re
from typing import Any

import api
import mathml
import notebook
import rows
from mkdocs.structure.files import File, Files

NOTEBOOK = rows.ROOT / "docs" / "notebook.ipynb"
PICTURES = [
    "reports/solver_grid/frechet_vs_nfe.png",
    "reports/solver_grid/samples.png",
    "reports/error_bar_calibration/coverage.png",
    "reports/error_bar_calibration/bias.png",
    "reports/time_steps/truncation_error_vs_sigma.png",
]
LINKS = {
    r"\.\./components/(\w+)/(\w+)\.py": r"rows/\1.md#\2",
    r"\.\./components/(\w+)/": r"rows/\1.md",
    r"\.\./components/": "rows/index.md",
    r"\.\./designspace/[\w/]+\.py": "api.md",
    r"notebook\.ipynb": "notebook.md",
    r"\.\./(reports/\S+\.png)": r"\1",
}
"""Targets of links that exist in the repository, and the pages and pictures that the site has in their place.

People also read the pages where the repository is hosted, which has none of the pages that are made here.
"""


def on_config(config: Any) -> Any:
    """The rows' pages in the navigation."""
    pages = [{"Overview": "rows/index.md"}, *({row: f"rows/{row}.md"} for row in rows.names())]
    config.nav = [*config.nav, {"The design space": pages}, {"API": "api.md"}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """The pages that are not files of this folder."""
    made: dict[str, str | bytes] = {"rows/index.md": rows.overview(), "api.md": api.page()}
    made |= {f"rows/{row}.md": rows.page(row) for row in rows.names()}
    made |= {f"rows/curves/{row}.svg": drawn for row, drawn in rows.curves()}
    page, pictures = notebook.page(NOTEBOOK)
    made |= {"notebook.md": page, **pictures}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    for name in PICTURES:
        files.append(File.generated(config, name, abs_src_path=str(rows.ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with links to pages of the site in place of ``LINKS``."""
    for target, page in LINKS.items():
        markdown = re.sub(rf"\]\({target}\)", f"]({page})", markdown)
    return markdown


def on_page_content(html: str, **_: Any) -> str:
    """Formulas as MathML."""
    return mathml.rendered(html)
