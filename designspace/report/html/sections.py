"""The sections of a page, one per metric and protocol, with the data of their plots and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import Entry, floor_in
from designspace.report.evidence.differences import Ranking, by_budget, rank
from designspace.report.figures.metric import NFE, curve_name, each_once, numeric_axes
from designspace.report.html.render import cell
from designspace.report.study import Study, comparable
from designspace.report.tables import caption
from designspace.report.tables.comparisons import COLUMNS as COMPARED
from designspace.report.tables.comparisons import words
from designspace.report.tables.values import bias_corrected
from designspace.text import measured, measured_parts, number, one_line

COLUMNS = {"value": "value", "se": "se", "sd": "sd over seeds", "n": "n", "unbiased": "without bias"}
"""The titles of a table's columns, by the keys that the scripts use."""
ALWAYS = ("value", "se", "n")
"""The columns that are shown even if they are empty."""


@dataclass(frozen=True)
class Section:
    """A section of the page, with comparable values of one metric."""

    title: str
    metric: str
    caption: str
    entries: list[Entry]
    ranked: list[Ranking]
    """One ranking per budget."""
    data: dict[str, Any]
    """The data that the scripts read."""


def sections(study: Study) -> Iterator[Section]:
    """All sections, in the order of the metrics."""
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
    ranked = [rank(study, column, metric) for column in by_budget(study, entries).values()]
    best = {entry for ranking in ranked for entry in ranking.best}
    absent = [] if why else [point for point in study.points if not point.rows]
    keys, cells = _values(metric, entries)
    rows = [[place[e], int(e in best), *row] for e, row in zip(entries, cells, strict=True)]
    rows += [[place[point], 0, study.word(point), *[""] * (len(keys) - 1)] for point in absent]
    first, higher = entries[0], entries[0].higher_is_better(metric)
    data: dict[str, Any] = {
        "label": one_line(first.about(metric).protocol),
        "higher": higher,
        "floor": floor_in(first.rows[0], metric),
        "floorName": caption.halves_are(higher),
        "drawn": floor_in(first.rows[0], metric, "drawn"),
        "table": {"keys": keys, "columns": [COLUMNS[key] for key in keys], "rows": rows},
        "compared": {"columns": COMPARED, "rows": [*_compared(ranked, place)]},
        "against": [_curves(entries, metric, axis) for axis in axes],
    }
    told = caption.of_table(study, metric, entries, ranked, why)
    return Section(data["label"], metric, told, entries, ranked, data)


def _values(metric: str, entries: Sequence[Entry]) -> tuple[list[str], list[list[Any]]]:
    """The keys of the columns and the cells of each row, without columns that would be empty."""
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    for e in entries:
        value, se, spread, unbiased = e.value(metric), e.se(metric), e.spread(metric), bias_corrected(e, metric)
        first, error, power = measured_parts(value, se)
        columns["value"].append(cell(value, first + power))
        columns["se"].append(cell(se, error + power))
        columns["sd"].append(cell(spread, "" if spread is None else number(spread, spread)))
        columns["n"].append(cell(e.images(metric) * len(e.rows), _images(e, metric)))
        columns["unbiased"].append(cell(unbiased[0], measured(*unbiased)) if unbiased else "")
    kept = {key: cells for key, cells in columns.items() if key in ALWAYS or any(one != "" for one in cells)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def _images(entry: Entry, metric: str) -> str:
    seeds = len(entry.rows)
    text = f"{entry.images(metric):,}" + (f" × {seeds}" if seeds > 1 else "")
    return text + (f" [{seeds} of {entry.expected} seeds]" if seeds < entry.expected else "")


def _compared(ranked: Sequence[Ranking], place: Mapping[Entry, int]) -> Iterator[list[Any]]:
    """The rows that compare each point with the best of its budget."""
    for ranking in ranked:
        top = ranking.best[:1] if ranking.against else []
        for entry in sorted((*top, *ranking.against), key=lambda entry: place[entry]):
            gap, p = ranking.against.get(entry, (None, math.nan))
            texts = words(gap, p) if gap else ["best", "", "", ""]
            numbers = (gap.value, gap.gain, gap.p, p) if gap else (0.0, None, None, None)
            cells = [cell(x, text) for x, text in zip(numbers, texts, strict=True)]
            yield [place[entry], int(entry in ranking.best), *cells]


def _curves(entries: Sequence[Entry], metric: str, axis: str | None) -> dict[str, Any]:
    """Curves as names, rows of the table and positions; configurations with the same trials share a curve."""
    place = {entry: i for i, entry in enumerate(entries)}
    named: dict[str, list[Entry]] = {}
    for entry in entries:
        if math.isfinite(entry.value(metric)):
            named.setdefault(curve_name(entry, axis), []).append(entry)
    curves = []
    for name, points in each_once(named).items():
        found = sorted((entry.nfe if axis is None else entry.axes[axis], place[entry]) for entry in points)
        curves.append([name, [i for _, i in found], [x for x, _ in found]])
    return {"label": NFE if axis is None else one_line(axis), "curves": curves}
