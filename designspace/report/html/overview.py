"""The overview page: every ablation with a short answer and a link to its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from designspace.errors import DataError
from designspace.report.evidence.verdicts import verdicts
from designspace.report.html import answer
from designspace.report.html.render import render
from designspace.report.html.sections import sections
from designspace.report.study import Study
from designspace.report.tables import claims
from designspace.text import counted, one_line


def overview(folders: Sequence[Path], known: Sequence[Study] = (), *, live: bool = False) -> bytes:
    """The page; folders that cannot be read are left out.

    Args:
        folders: The folders of the ablations.
        known: Studies of some of them, so that they are not read a second time.
        live: Whether verdicts must be always valid.
    """
    studies = {study.folder: study for study in known}
    items = []
    for folder in folders:
        try:
            item = _summary(studies.get(folder) or Study(folder), live)
        except DataError:
            continue
        link = f"{quote(folder.name)}/index.html" if (folder / "index.html").is_file() else ""
        items.append(item | {"link": link, "question": item["question"] or item["name"]})
    return render("overview.html", items=items)


def _summary(study: Study, live: bool) -> dict[str, Any]:
    told = answer.answers(study, (), [*sections(study)])
    done, expected = sum(len(p.rows) for p in study.points), sum(p.expected for p in study.points)
    return {
        "name": one_line(study.about.name),
        "question": one_line(study.about.question),
        "size": counted(done, "trial") if done == expected else f"{done:,} of {counted(expected, 'trial')}",
        "counts": claims.labels(verdicts(study, live=live)),
        "answer": " ".join(told[:1]),
    }
