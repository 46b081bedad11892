"""The rows of best.csv."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from designspace.report.evidence.deciding import deciding
from designspace.report.evidence.judged import Evidence, Judgement
from designspace.report.evidence.sheets import Line, Sheet
from designspace.report.tables.evidence import notes, papers
from designspace.report.tables.table import csv_text
from designspace.text import joined, one_line, value_of

NO_P = 1e-12
"""Smaller p-values are written as 0."""


def tidy(sheets: Sequence[Sheet], metric: str) -> str:
    """best.csv: one row per choice, budget and piece of evidence; a row of the table without evidence has one row."""
    rows = [{key: _plain(key, value) for key, value in row.items()} for row in flat(sheets, metric)]
    return csv_text(lambda: rows)


def _plain(name: str, value: Any) -> Any:
    """A number with as many digits as agree on all machines: small p-values multiply the error of a standard error."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return ""
    if name == "p":
        return "0" if value < NO_P else f"{value:.3g}"
    return f"{value:.6g}"


def flat(sheets: Sequence[Sheet], metric: str) -> Iterator[dict[str, Any]]:
    """The rows of best.csv, with numbers as numbers."""
    for sheet in sheets:
        about = {"data": sheet.data, "protocol": sheet.protocol, "metric": metric}
        for line in sheet.lines:
            own = about | {"row": line.name, "papers_choice": papers(line)}
            if line.evidence is None:
                needed = deciding(line.row, None) if sheet.directed else ""
                yield own | {"verdict": str(Judgement.NONE), "would_decide": needed}
            else:
                one = line.evidence
                yield from (
                    own | {"also_in": joined(sheet.also_in(one))} | _of(line, one, budget, choice)
                    for budget, at in one.at.items()
                    for choice in at.against
                )


def _of(line: Line, one: Evidence, budget: object, choice: Any) -> dict[str, Any]:
    at = one.at[budget]
    gap, ends = at.against[choice], at.against[choice].interval() or (math.nan, math.nan)
    base = at.factor.choices[0]
    return {
        "report": one_line(one.study.about.name),
        "model": one.model,
        "training_runs": one.repeats or 0,
        "images": one.points[0].images(one.metric),
        "budget": value_of(budget) if one.study.column_axis else "",
        "nfe": one.nfe[budget],
        "compared_with": one_line(base),
        "is_papers": one.of_paper,
        "endorsed": choice in one.endorsed,
        "value": at.baseline,
        "choice": one_line(choice),
        "nfe_total": at.nfe[choice],
        "change": gap.value,
        "se": math.nan if gap.se is None else gap.se,
        "low": ends[0],
        "high": ends[1],
        "degrees": math.nan if gap.degrees is None else gap.degrees,
        "p": one.p.get((budget, choice), math.nan),
        "favoured": choice in at.favoured and at.decided,
        "papers_favoured": base in at.favoured and at.decided,
        "settings": at.lines,
        "verdict": str(one.judgement(budget)),
        "notes": notes(one),
        "would_decide": deciding(line.row, one),
    }
