"""The tables of best practices, as best.md, best.csv and HTML."""

from __future__ import annotations

import html
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from designspace.report.evidence.deciding import deciding
from designspace.report.evidence.judged import CHURN_NFE, PAPERS_NFE, Evidence, Judgement
from designspace.report.evidence.quality import Quality, fastest
from designspace.report.evidence.sheets import Line, Sheet
from designspace.report.tables import quality as equal
from designspace.report.tables.evidence import (
    change,
    doubts,
    favoured,
    gain,
    legend,
    listed,
    model,
    notes,
    papers,
    picked,
    some,
    told,
    verdicts,
)
from designspace.report.tables.table import Cell, Table, html_table, markdown
from designspace.text import escape, joined, one_line

MOST = 6
"""The largest number of configurations of an ablation that are all in the table of evaluations for equal quality."""
GAINS = 2
"""The number of gains that the summary names."""
HEADER = ["row", "the paper's choice", "tried", "favoured", "best other choice", "verdict"]
FURTHER = ["measured on", "notes", "report"]
MEANING = (
    "Each line compares the choices in one row, all else equal, with the choice of Karras et al. (2022), the paper. "
    "Favoured: the choice with the best mean and all that do not differ significantly from it, corrected for all "
    "pairs; no difference found, if no choice differs significantly from any other. Best other choice: the best of "
    "those that are not the paper's, and its value minus that with the paper's choice, with the 95 % interval and, "
    "after “of”, the value with the paper's choice. If the paper calls several values about as good, they are given "
    "with the source, and the best of those that were tried is compared (“with”). If none was tried, the second best "
    "choice is compared with the best one. If several choices were tried, the difference flatters the best of them, "
    "but verdicts are corrected. The interval includes the variation between training runs where networks were trained "
    "repeatedly (Student's t). Three budgets are shown: the lowest, the highest and, between them, the one nearest to "
    "the paper's or, if that is an end, a middle one. best.csv has all budgets and choices; it writes p-values below "
    "1e-12 as 0. Trials that several ablations have in common count once."
)
VERDICTS = (
    "Verdicts: agrees, the paper's choice is significantly better than every other one tried; contradicts, another one "
    "is significantly better; withheld, the better one also costs more evaluations; undecided, none of these; not in "
    "the paper, the paper does not set this field; no evidence, the paper's choice was not tried, or the row was never "
    "changed alone. p-values are corrected for all choices and budgets of a line (Holm, 5 %). Rows of the network and "
    "of training are undecided if each network was trained only once, because another training run could reverse them. "
    "Values below the drawn reference count as equal to it. A verdict holds for the model and data of its line. The "
    "notes say where evidence is weak: a single training run, too few images, or values far above the drawn reference."
)
DRAWN = (
    "The figure shows each row at the budget of its first line that is nearest to the paper's, with the verdict at "
    "that budget; at others it may differ."
)
UNDIRECTED = "{metric} has no better direction, so no choice is favoured, and no further run would give a verdict."
ORDER = (
    "Evidence that can decide a row comes first: comparisons with the paper's choice, repeated trainings for rows of "
    "training, networks before the exact denoiser, the paper's choice in the other rows and in the other fields of the "
    f"row before other settings, budgets nearer to the paper's before others (NFE {PAPERS_NFE}, or {CHURN_NFE} for "
    "churn), and more comparisons before fewer. The order does not depend on the outcome. Values of different "
    "protocols or data sets are in different tables, and only values of the same ablation are compared."
)


def page(sheets: Sequence[Sheet], out: Path, drawn: Collection[str]) -> str:
    """best.md with links relative to the folder ``out``; ``drawn`` are the names of the figures."""
    lines = ["# Best practices", "", *(escape(text) + "\n" for text in (MEANING, VERDICTS, ORDER))]
    for i, sheet in enumerate(sheets, 1):
        lines += [f"## {escape(sheet.title)}", "", escape(summary(sheet)), ""]
        lines += [escape(UNDIRECTED.format(metric=sheet.protocol)), ""] if not sheet.directed else []
        if (name := f"changes_{i}.png") in drawn:
            alt = f"How the best other choice of each row changes {escape(sheet.protocol)}; hollow: weak evidence"
            lines += [f"![{alt}]({name})", "", DRAWN, ""]
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
    """How many rows contradict the paper, agree with it or are open by their first line, and the largest gains."""
    verbs = {
        Judgement.CONTRADICTS: ("contradicts the paper", "contradict the paper"),
        Judgement.AGREES: ("agrees with the paper", "agree with the paper"),
        Judgement.VARIES: (
            "contradicts the paper at some budgets and agrees at others",
            "contradict the paper at some budgets and agree at others",
        ),
        Judgement.WITHHELD: ("is withheld at unequal cost", "are withheld at unequal cost"),
        Judgement.UNDECIDED: ("is undecided", "are undecided"),
        Judgement.BEYOND: ("is not in the paper", "are not in the paper"),
        Judgement.NONE: ("has no evidence", "have no evidence"),
    }
    counts = {kind: sum(line.verdict is kind for line in sheet.leading) for kind in verbs}
    parts = [f"{n} {verbs[kind][n > 1]}" for kind, n in counts.items() if n]
    judged = f"{len(sheet.leading)} rows and fields, each judged by all budgets of its first line"
    text = f"Of {judged}, {joined(parts)}.{_doubted(sheet)}"
    found = gains(sheet)
    return f"{text} Largest gains over the paper's choice: {'; '.join(found)}." if found else text


def _doubted(sheet: Sheet) -> str:
    """How many of the decided rows rest on weak evidence at all decided budgets, and on one trained network."""
    decided = [one for line in sheet.leading if (one := line.evidence) and one.decided_at]
    weak = [one for one in decided if all(one.is_weak(budget) for budget in one.decided_at)]
    once = [one for one in decided if one.repeats == 1 and one not in weak]
    parts = [f"{len(weak)} {'rest' if len(weak) > 1 else 'rests'} on weak evidence only"] if weak else []
    verb = "" if weak else "rest " if len(once) > 1 else "rests "
    parts += [f"{len(once)} {'more ' if weak else ''}{verb}on one trained network"] if once else []
    return f" Of the decided ones, {joined(parts)}." if parts else ""


def gains(sheet: Sheet) -> list[str]:
    """The ``GAINS`` largest relative gains by which a first line contradicts the paper, each at its best budget.

    Weak evidence counts only if there is no other.
    """
    found = []
    for line, one in ((line, line.evidence) for line in sheet.leading if line.evidence):
        of = [at for at, kind in one.judgements.items() if kind is Judgement.CONTRADICTS and one.at[at].baseline > 0]
        changes = {at: one.at[at].against[one.rival(at)].value / one.at[at].baseline for at in of}
        ranked = [(one.is_weak(at), -abs(change), line.name, gain(one, at)) for at, change in changes.items()]
        found += sorted(ranked)[:1]
    sure = [one for one in found if not one[0]] or found
    return [f"{name}, {text}" for _, _, name, text in sorted(sure)[:GAINS]]


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
    name = Cell(_reports(sheet, one), link=_link(one.study.folder, out))
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
        about = [Cell(_reports(sheet, found), link=link), Cell(found.model), Cell(goal)]
        for one in found.reached if len(found.reached) <= MOST else [*fastest(found)][:1]:
            rows.append([*about, *equal.cells(found, one)])
            about = [Cell(""), Cell(""), Cell("")]
    header = ["report", "model", "within", "configuration", "NFE", "95 % interval", "times fewer than the baseline"]
    return Table(header, rows, equal.MEANING)


def _reports(sheet: Sheet, found: Evidence | Quality) -> str:
    """The report, and others that have the same trials."""
    others = sheet.also_in(found)
    return one_line(found.study.about.name) + (f" (the same trials are in {joined(others)})" if others else "")


def _link(folder: Path, out: Path | None) -> str:
    return f"{Path(os.path.relpath(folder, out)).as_posix()}/" if out else ""


def short(sheet: Sheet) -> Table:
    """An excerpt with the first line of each row. Its caption explains the signs at the verdicts."""
    rows = []
    for line in sheet.leading:
        _, _, rival, *_ = _cells(sheet, line, None)
        best, verdict, on = outcome(line)
        rows.append([Cell(line.name), Cell(papers(line)), best, verdict, on, rival])
    found = Table(["row", "the paper's choice", "favoured", "verdict", "measured on", "best other choice"], rows, "")
    return replace(found, caption=legend(found))


def outcome(line: Line) -> list[Cell]:
    """What is favoured, the verdict with its signs, in bold if it is decided and not in doubt, and the model."""
    if (one := line.evidence) is None:
        return [Cell(""), Cell(str(line.verdict)), Cell("")]
    sure = line.verdict in (Judgement.AGREES, Judgement.CONTRADICTS) and not doubts(one)
    return [Cell(picked(one)), Cell(verdicts(one, marked=True), best=sure), Cell(model(one))]


def text(sheets: Sequence[Sheet]) -> str:
    """The excerpts of all tables as Markdown."""
    parts = []
    for sheet in sheets:
        found = short(sheet)
        parts += [sheet.title, "", *markdown(found), ""]
        parts += [*filter(None, [found.caption]), *headlines(sheet), ""]
    return "\n".join(parts).rstrip()


def headlines(sheet: Sheet) -> list[str]:
    """Whether the metric has no direction, and a sentence on equal quality per ablation with few configurations."""
    shown = [found for found in sheet.quality if 1 < len(found.reached) <= MOST]
    notes = [] if sheet.directed else [UNDIRECTED.format(metric=sheet.protocol)]
    return notes + [f"{one_line(found.study.about.name)}, {found.model}: {equal.sentence(found)}" for found in shown]


def notebook(sheets: Sequence[Sheet]) -> str:
    """The tables as HTML."""
    return "".join(f"<h4>{html.escape(sheet.title)}</h4>{html_table(table(sheet))}" for sheet in sheets)
