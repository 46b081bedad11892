"""A section of the page for each metric and protocol: what its plot and its tables show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import Entry, floor_in
from designspace.report.evidence.compare import Ranking, rank
from designspace.report.figures.metric import NFE, curve_name, each_once, numeric_axes
from designspace.report.html.columns import cell, values
from designspace.report.study import Study, budgets, comparable
from designspace.report.tables import caption
from designspace.report.tables.comparison_tables import words
from designspace.text import one_line

COMPARED = ("difference", "gain", "p", "corrected p")


@dataclass(frozen=True)
class Section:
    """Values that may be compared."""

    title: str
    metric: str
    caption: str
    entries: list[Entry]
    ranked: list[Ranking]
    """Of each budget."""
    data: dict[str, Any]
    """What the scripts are given."""


def sections(study: Study) -> Iterator[Section]:
    """All of them, in the order of the metrics."""
    place = {point: i for i, point in enumerate(study.points)}
    axes = [None, *numeric_axes(study)]
    for metric in study.about.metrics:
        groups = comparable(study.entries, metric)
        why = caption.kept_apart(groups, metric)
        for entries in groups:
            yield _section(study, metric, entries, why, place, axes)


def _section(
    study: Study,
    metric: str,
    entries: list[Entry],
    why: str,
    place: Mapping[Entry, int],
    axes: Sequence[str | None],
) -> Section:
    columns = [[e for e in entries if study.budget(e) == budget] for budget in budgets(study, entries)]
    ranked = [rank(study, column, metric) for column in columns]
    best = {entry for ranking in ranked for entry in ranking.best}
    absent = [] if why else [point for point in study.points if not point.rows]
    names, cells = values(metric, entries)
    rows = [[place[e], int(e in best), *row] for e, row in zip(entries, cells, strict=True)]
    rows += [[place[point], 0, study.word(point), *[""] * (len(names) - 1)] for point in absent]
    first, higher = entries[0], entries[0].higher_is_better(metric)
    data: dict[str, Any] = {
        "label": one_line(first.about(metric).protocol),
        "higher": higher,
        "floor": floor_in(first.rows[0], metric),
        "floorName": caption.halves_are(higher),
        "drawn": floor_in(first.rows[0], metric, "drawn"),
        "table": {"columns": names, "rows": rows},
        "compared": {"columns": COMPARED, "rows": [*_compared(ranked, place)]},
        "against": [_curves(entries, metric, axis) for axis in axes],
    }
    told = caption.of_table(study, metric, entries, ranked, why)
    return Section(data["label"], metric, told, entries, ranked, data)


def _compared(ranked: Sequence[Ranking], place: Mapping[Entry, int]) -> Iterator[list[Any]]:
    """Each point against the best of its budget."""
    for ranking in ranked:
        top = ranking.best[:1] if ranking.against else []
        for entry in sorted((*top, *ranking.against), key=lambda entry: place[entry]):
            gap, p = ranking.against.get(entry, (None, math.nan))
            texts = words(gap, p) if gap else ["best", "", "", ""]
            numbers = (gap.value, gap.gain, gap.p, p) if gap else (0.0, None, None, None)
            cells = [cell(x, text) for x, text in zip(numbers, texts, strict=True)]
            yield [place[entry], int(entry in ranking.best), *cells]


def _curves(entries: Sequence[Entry], metric: str, axis: str | None) -> dict[str, Any]:
    """Curves by name, through rows of the table; configurations that are the same trials are one curve."""
    place = {entry: i for i, entry in enumerate(entries)}
    named: dict[str, list[Entry]] = {}
    for entry in entries:
        if math.isfinite(entry.value(metric)):
            named.setdefault(curve_name(entry, axis), []).append(entry)
    curves = []
    for name, points in each_once(named).items():
        found = sorted((_x(entry, axis), place[entry]) for entry in points)
        curves.append([name, [i for _, i in found], [x for x, _ in found]])
    return {"label": NFE if axis is None else one_line(axis), "curves": curves}


def _x(entry: Entry, axis: str | None) -> Any:
    return entry.nfe if axis is None else entry.axes[axis]
