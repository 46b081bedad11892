"""The page of all ablations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from designspace.errors import DataError
from designspace.report.html.page import summary
from designspace.report.html.render import render
from designspace.report.study import Study


def overview(folders: Sequence[Path]) -> bytes:
    """Each ablation with its answer and a link to its page; those that cannot be read are left out."""
    items = []
    for folder in folders:
        try:
            item = summary(Study(folder))
        except DataError:
            continue
        link = f"{quote(folder.name)}/index.html" if (folder / "index.html").is_file() else ""
        items.append(item | {"link": link, "question": item["question"] or item["name"]})
    return render("overview.html", items=items)
