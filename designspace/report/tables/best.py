"""The tables of best practices, as best.md, best.csv and HTML."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from designspace.report.evidence.deciding import deciding
from designspace.report.evidence.practices import Evidence, Judgement
from designspace.report.evidence.quality import fastest
from designspace.report.evidence.sheets import Line, Sheet
from designspace.report.tables import quality as equal
from designspace.report.tables.evidence import (
    change,
    doubts,
    favoured,
    interval,
    listed,
    model,
    notes,
    papers,
    picked,
    some,
    told,
    verdicts,
)
from designspace.report.tables.table import Cell, Table, csv_text, html_table, markdown
from designspace.text import escape, joined, one_line, value_of

MOST = 6
"""The largest number of configurations of an ablation that are all in the table of evaluations for equal quality."""
HEADER = ["row", "the paper's choice", "tried", "favoured", "best other choice", "verdict"]
FURTHER = ["measured on", "notes", "report"]
MEANING = (
    "Each line compares the choices in one row, all else equal, with the choice of Karras et al. (2022), the paper. "
    "Favoured: the choice with the best mean and all that do not differ significantly from it, corrected for all "
    "pairs; no difference found, if no choice differs significantly from any other. Best other choice: the best of "
    "those that are not the paper's, and its value minus that with the paper's choice, with the 95 % interval and, "
    "after “of”, the value with the paper's choice; if that was not tried, the second best choice against the best "
    "one. If several choices were tried, the difference flatters the best of them, but verdicts are corrected. The "
    "interval includes the variation between training runs where networks were trained repeatedly (Student's t). "
    "Three budgets are shown: the lowest, a middle and the highest. best.csv has all budgets and choices."
)
VERDICTS = (
    "Verdicts: agrees, the paper's choice is significantly better than every other one tried; contradicts, another one "
    "is significantly better; undecided, neither; not in the paper, the paper does not set this field; no evidence, "
    "the paper's choice was not tried, or the row was never changed alone. p-values are corrected for all choices and "
    "budgets of a line (Holm, 5 %). Rows of the network and of training are undecided if each network was trained only "
    "once, because another training run could reverse them. Values below the drawn reference count as equal to it. A "
    "verdict holds for the model and data of its line. The notes say where evidence is weak: a single training run, "
    "too few images, or values far above the drawn reference."
)
UNDIRECTED = "{metric} has no better direction, so no choice is favoured, and no further run would give a verdict."
ORDER = (
    "Evidence that can decide a row comes first: comparisons with the paper's choice, repeated trainings for rows of "
    "training, networks before the exact denoiser, the paper's choice in the other rows before other settings, and "
    "more comparisons before fewer. The order does not depend on the outcome. Values of different protocols or data "
    "sets are in different tables, and only values of the same ablation are compared."
)


def page(sheets: Sequence[Sheet], out: Path, drawn: Collection[str]) -> str:
    """best.md with links relative to the folder ``out``; ``drawn`` are the names of the figures."""
    lines = ["# Best practices", "", *(escape(text) + "\n" for text in (MEANING, VERDICTS, ORDER))]
    for i, sheet in enumerate(sheets, 1):
        lines += [f"## {escape(sheet.title)}", "", escape(summary(sheet)), ""]
        lines += [escape(UNDIRECTED.format(metric=sheet.protocol)), ""] if not sheet.directed else []
        if (name := f"changes_{i}.png") in drawn:
            lines += [f"![How the best other choice of each row changes {escape(sheet.protocol)}]({name})", ""]
        lines += [*markdown(table(sheet, out)), ""]
        lines += [escape(unrecorded(sheet)), ""] if sheet.unrecorded else []
        if needed := [*undecided(sheet)]:
            lines += ["What would decide the rows without a verdict:", ""]
            lines += [*(f"- {escape(names)}: {escape(text)}." for names, text in needed), ""]
        if sheet.quality:
            lines += ["### Evaluations for equal quality", ""]
            lines += [f"![The evaluations for equal quality](quality_{i}.png)", ""] * (f"quality_{i}.png" in drawn)
            lines += [*markdown(reached(sheet, out)), "", escape(equal.MEANING), ""]
    return "\n".join(lines).rstrip() + "\n"


def summary(sheet: Sheet) -> str:
    """Which rows the first line of each contradicts, confirms or leaves open."""
    words = {
        Judgement.CONTRADICTS: "contradicts the paper at some budget",
        Judgement.AGREES: "agrees with the paper",
        Judgement.UNDECIDED: "is undecided",
        Judgement.BEYOND: "has no counterpart in the paper",
        Judgement.NONE: "is no evidence",
    }
    named = {kind: [line.name for line in sheet.leading if line.verdict is kind] for kind in Judgement}
    parts = [f"{text} on {joined(named[kind])}" for kind, text in words.items() if named[kind]]
    return f"The first line of each row {'; '.join(parts)}."


def unrecorded(sheet: Sheet) -> str:
    """A note on results of earlier versions."""
    return f"An earlier version wrote the results of {joined(sheet.unrecorded)}, and recorded less of the protocol."


def table(sheet: Sheet, out: Path | None = None) -> Table:
    """The table of one protocol and data set; reports are linked relative to the folder ``out``."""
    rows, before = [], ""
    for line in sheet.lines:
        first = line.name != before
        names = [Cell(line.name if first else "", best=first), Cell(papers(line) if first else "")]
        rows.append([*names, *_cells(sheet, line, out)])
        before = line.name
    return Table(HEADER + FURTHER, rows, MEANING)


def _cells(sheet: Sheet, line: Line, out: Path | None) -> list[Cell]:
    one = line.evidence
    if one is None:
        together = sheet.together(line.row) if line.row else []
        note = f"changed only with others: see {joined(together)}" if together else ""
        return [Cell(""), Cell(""), Cell(""), Cell(Judgement.NONE), Cell(""), Cell(note), Cell("")]
    shown = some(one)
    tried = listed(one.factor.choices[not one.of_paper and 0 :])
    best = told(one, {budget: favoured(one, budget) for budget in shown})
    rivals = told(one, {budget: change(one, budget) for budget in shown})
    name = Cell(one_line(one.study.about.name), link=_link(one.study.folder, out))
    return [Cell(tried), Cell(best), Cell(rivals), Cell(verdicts(one)), Cell(model(one)), Cell(notes(one)), name]


def undecided(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """The rows that their first line does not decide, and what would decide them."""
    by: dict[str, list[str]] = {}
    for line in sheet.leading if sheet.directed else []:
        if text := deciding(line.row, line.evidence):
            by.setdefault(text, []).append(line.name)
    yield from ((joined(names), text) for text, names in by.items())


def reached(sheet: Sheet, out: Path | None = None) -> Table:
    """The evaluations for equal quality, with the configurations of an ablation if there are at most ``MOST``."""
    rows = []
    for found in sheet.quality:
        link = _link(found.study.folder, out)
        goal = "drawn reference" if found.drawn else "3 % of the best"
        about = [Cell(one_line(found.study.about.name), link=link), Cell(found.model), Cell(goal)]
        for one in found.reached if len(found.reached) <= MOST else [*fastest(found)][:1]:
            rows.append([*about, *equal.cells(found, one)])
            about = [Cell(""), Cell(""), Cell("")]
    header = ["report", "model", "within", "configuration", "NFE", "95 % interval", "times fewer than the baseline"]
    return Table(header, rows, equal.MEANING)


def _link(folder: Path, out: Path | None) -> str:
    return f"{Path(os.path.relpath(folder, out)).as_posix()}/" if out else ""


def tidy(sheets: Sequence[Sheet], metric: str) -> str:
    """best.csv: one row per choice, budget and piece of evidence; a row of the table without evidence has one row."""
    rows = [{key: _plain(value) for key, value in row.items()} for row in flat(sheets, metric)]
    return csv_text(lambda: rows)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


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
                yield from (own | _of(line, line.evidence, *place) for place in line.evidence.gaps)


def _of(line: Line, one: Evidence, budget: object, choice: Any) -> dict[str, Any]:
    at = one.at[budget]
    gap, ends = at.against[choice], interval(at.against[choice]) or (math.nan, math.nan)
    base = one.factor.choices[0]
    return {
        "report": one_line(one.study.about.name),
        "model": one.model,
        "training_runs": one.repeats or 0,
        "images": one.points[0].images(one.metric),
        "budget": value_of(budget) if one.study.column_axis else "",
        "nfe": one.nfe[budget],
        "compared_with": one_line(base),
        "is_papers": one.of_paper,
        "value": at.baseline,
        "choice": one_line(choice),
        "nfe_total": at.nfe[choice],
        "change": gap.value,
        "se": math.nan if gap.se is None else gap.se,
        "low": ends[0],
        "high": ends[1],
        "degrees": math.nan if gap.degrees is None else gap.degrees,
        "p": one.p[budget, choice],
        "favoured": choice in at.favoured and at.decided,
        "papers_favoured": base in at.favoured and at.decided,
        "settings": at.lines,
        "verdict": str(one.judgement(budget)),
        "notes": notes(one),
        "would_decide": deciding(line.row, one),
    }


def short(sheet: Sheet) -> Table:
    """An excerpt with the first line of each row."""
    rows = []
    for line in sheet.leading:
        _, _, rival, *_ = _cells(sheet, line, None)
        rows.append([Cell(line.name), Cell(papers(line)), *(cells := outcome(line))[:1], rival, *cells[1:]])
    return Table([*HEADER[:2], *HEADER[3:]], rows, MEANING)


def outcome(line: Line) -> list[Cell]:
    """What is favoured, and the verdict, in bold if it is decided and not in doubt."""
    if (one := line.evidence) is None:
        return [Cell(""), Cell(str(line.verdict))]
    sure = line.verdict in (Judgement.AGREES, Judgement.CONTRADICTS) and not doubts(one)
    return [Cell(picked(one)), Cell(verdicts(one), best=sure)]


def text(sheets: Sequence[Sheet]) -> str:
    """The excerpts of all tables as Markdown."""
    parts = []
    for sheet in sheets:
        parts += [sheet.title, "", *markdown(short(sheet)), ""]
        parts += [*headlines(sheet), ""]
    return "\n".join(parts).rstrip()


def headlines(sheet: Sheet) -> list[str]:
    """Whether the metric has no direction, and a sentence on equal quality per ablation with few configurations."""
    shown = [found for found in sheet.quality if 1 < len(found.reached) <= MOST]
    notes = [] if sheet.directed else [UNDIRECTED.format(metric=sheet.protocol)]
    return notes + [f"{one_line(found.study.about.name)}, {found.model}: {equal.sentence(found)}" for found in shown]


def notebook(sheets: Sequence[Sheet]) -> str:
    """The tables as HTML."""
    return "".join(f"<h4>{html.escape(sheet.title)}</h4>{html_table(table(sheet))}" for sheet in sheets)
