"""Tables of values with standard errors: rows are configurations, columns are budgets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from designspace.report.entry import Entry
from designspace.report.evidence.compare import Ranking, rank
from designspace.report.study import Study, budgets, comparable
from designspace.report.tables import caption
from designspace.text import measured, number, one_line, value_of

MEASURED = re.compile(r"\(*[-+]?\d[\d.]*(e[-+]?\d+)?\)?($| ±)")
"""A number, with or without its error."""
WANTING = ("missing", "failed", "nan", "inf", "-inf")


@dataclass(frozen=True)
class Cell:
    """A value with its standard error, or words."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """What is printed, in whichever format."""

    header: list[str]
    rows: list[list[Cell]]
    caption: str
    """In sentences, the first of which names the protocol."""

    @property
    def numbers(self) -> list[bool]:
        """Of each column whether it has numbers and no other words than those for want of one: set flush right."""
        texts = [[row[i].text for row in self.rows if row[i].text] for i in range(len(self.header))]
        return [any(map(MEASURED.match, of)) and all(MEASURED.match(t) or t in WANTING for t in of) for of in texts]


def tables(study: Study, metric: str) -> list[Table]:
    """The tables of a metric: one for each protocol, because numbers of two protocols cannot be compared."""
    groups = comparable(study.entries, metric)
    why = caption.kept_apart(groups, metric)
    return [_table(study, metric, group, why) for group in groups]


def _table(study: Study, metric: str, entries: list[Entry], why: str) -> Table:
    # Which of several tables a missing point belongs into is not known.
    points = entries if why else [point for point in study.points if point.has(metric) or not point.rows]
    draw = _by_budget if study.column_axis else _plain
    header, rows, ranked = draw(study, metric, points, entries)
    return Table(header, rows, caption.of_table(study, metric, entries, ranked, why))


Drawn = tuple[list[str], list[list[Cell]], list[Ranking]]


def _plain(study: Study, metric: str, points: Sequence[Entry], entries: list[Entry]) -> Drawn:
    ranked = rank(study, entries, metric)
    best = set(ranked.best)
    rows = [[Cell(p.config), Cell(f"{p.nfe:g}" if p.rows else ""), _cell(study, p, metric, p in best)] for p in points]
    return ["configuration", "NFE", entries[0].about(metric).protocol], rows, [ranked]


def _by_budget(study: Study, metric: str, points: Sequence[Entry], entries: list[Entry]) -> Drawn:
    columns = budgets(study, points)
    configs = list(dict.fromkeys(p.config for p in points))
    at = {(p.config, study.budget(p)): p for p in points}
    ranked = [rank(study, [e for e in entries if study.budget(e) == column], metric) for column in columns]
    best = {entry for ranking in ranked for entry in ranking.best}
    rows = [
        [Cell(config), *(_cell(study, at.get((config, c)), metric, at.get((config, c)) in best) for c in columns)]
        for config in configs
    ]
    title = f"{entries[0].about(metric).protocol} at {'NFE' if study.column_axis == 'nfe' else 'steps'}"
    return [one_line(title), *map(value_of, columns)], rows, ranked


def _cell(study: Study, point: Entry | None, metric: str, best: bool) -> Cell:
    """``12.3 ± 0.4``; of several seeds ``12.3 ± 0.4 (0.6)``, with the standard deviation over the seeds."""
    if point is None:
        return Cell("")
    if not point.has(metric):
        return Cell(study.word(point))
    spread, done = point.spread(metric), len(point.rows)
    text = measured(point.value(metric), point.se(metric))
    text += "" if spread is None else f" ({number(spread, spread)})"
    return Cell(text + (f" [{done} of {point.expected} seeds]" if done < point.expected else ""), best)
