"""The page of best practices."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from designspace.report.evidence.sheets import Sheet
from designspace.report.html.page import Picture
from designspace.report.html.render import picture, render
from designspace.report.tables import best as tables
from designspace.report.tables.table import Table

PICTURES = {
    "changes": "How the best other choice of each row changes the value with the paper's choice, with 95 % intervals, "
    "at the budget nearest to the paper's, and the verdict at that budget; at others it may differ. Hollow dots: weak "
    "evidence, from values far above the drawn reference or too few images.",
    "quality": "The evaluations that each configuration needs for the same quality, with 95 % intervals.",
}


def best(sheets: Sequence[Sheet], pictures: Mapping[str, bytes], out: Path, told: str = "") -> bytes:
    """The page of all sheets, which will be written into the folder ``out``.

    Args:
        sheets: The tables, one per protocol and data set.
        pictures: The figures by name.
        out: The folder of the page; links to reports are relative to it.
        told: A remark on the ablations that were left out.
    """
    meaning = [tables.MEANING, tables.VERDICTS, tables.ORDER, *filter(None, [told])]
    items = [_item(i, sheet, pictures, out) for i, sheet in enumerate(sheets, 1)]
    return render("best.html", items=items, meaning=meaning, home=_home(sheets, out))


def _item(i: int, sheet: Sheet, pictures: Mapping[str, bytes], out: Path) -> dict[str, Any]:
    notes = [tables.UNDIRECTED.format(metric=sheet.protocol)] if not sheet.directed else []
    return {
        "title": sheet.title,
        "summary": tables.summary(sheet),
        "short": _verdict_second(tables.short(sheet)),
        "full": _verdict_second(tables.table(sheet, out)),
        "notes": notes + ([tables.unrecorded(sheet)] if sheet.unrecorded else []),
        "needed": [*tables.undecided(sheet)],
        "reached": tables.reached(sheet, out) if sheet.quality else None,
        "pictures": [*_pictures(i, pictures)],
    }


def _verdict_second(table: Table) -> Table:
    """The table with the verdicts next to the rows, where they are seen first, also on a phone."""
    at = table.header.index("verdict")
    order = [0, at, *(i for i in range(1, len(table.header)) if i != at)]
    return replace(table, header=[table.header[i] for i in order], rows=[[row[i] for i in order] for row in table.rows])


def _pictures(i: int, pictures: Mapping[str, bytes]) -> Iterator[Picture]:
    for kind, alt in PICTURES.items():
        if png := pictures.get(f"{kind}_{i}.png"):
            yield Picture(picture(png), alt)


def _home(sheets: Sequence[Sheet], out: Path) -> str:
    """The overview beside the reports."""
    folders = [one.study.folder for sheet in sheets for one in sheet.evidence]
    parent = os.path.relpath(folders[0].parent, out) if folders else ".."
    return f"{quote(Path(parent).as_posix())}/index.html"
