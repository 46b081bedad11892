"""The sections of a page, one per metric and protocol, with the data of their plots and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from designspace.drawing.look import LINES, MARKERS
from designspace.report.entry import Entry
from designspace.report.evidence.differences import Ranking, by_budget, finite, rank
from designspace.report.figures.looks import roles
from designspace.report.figures.metric import (
    EVALUATIONS,
    against,
    curve_name,
    each_once,
    level_of,
    numeric_axes,
    varies_in,
)
from designspace.report.html.render import cell
from designspace.report.study import Study, rivals
from designspace.report.tables import caption, corrected
from designspace.report.tables.comparisons import COLUMNS as COMPARED
from designspace.report.tables.comparisons import words
from designspace.text import measured, measured_parts, number, one_line

COLUMNS = {"value": "value", "se": "se", "sd": "sd over seeds", "n": "n"}
"""The titles of a table's columns, by the keys that the scripts use."""
MOST = 10_000
"""The largest number of points that a page lists in full; browsers take minutes for more."""
BEST = 20
"""The number of points per metric and budget that a page lists if there are more points than ``MOST``."""
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


def listed(study: Study) -> list[Entry]:
    """The points that a page lists: all or, of more than ``MOST``, the best ones of each metric at each budget."""
    if len(study.points) <= MOST:
        return study.points
    best: set[Entry] = set()
    for metric in study.about.metrics:
        for group in rivals(study.entries, metric):
            for column in by_budget(study, finite(group, metric)).values():
                higher = bool(column[0].higher_is_better(metric))
                best.update(sorted(column, key=lambda entry: entry.value(metric), reverse=higher)[:BEST])
    return [point for point in study.points if point in best]


def sections(study: Study) -> Iterator[Section]:
    """All sections, in the order of the metrics."""
    place = {point: i for i, point in enumerate(listed(study))}
    numeric = numeric_axes(study)
    for metric in study.about.metrics:
        axes = [*[study.count] * (not numeric or varies_in(study, metric, study.count)), *numeric]
        groups = rivals(study.entries, metric)
        why = caption.kept_apart(groups, metric)
        for entries in groups:
            yield _section(study, metric, entries, why, place, axes)


def _section(
    study: Study,
    metric: str,
    entries: list[Entry],
    why: str,
    place: Mapping[Entry, int],
    axes: Sequence[str],
) -> Section:
    ranked = [rank(study, column, metric) for column in by_budget(study, entries).values()]
    best = {entry for ranking in ranked for entry in ranking.best}
    absent = [] if why else [point for point in place if not point.rows]
    shown = [entry for entry in entries if entry in place]
    titles, cells = _values(metric, shown)
    rows = [[place[e], int(e in best), *row] for e, row in zip(shown, cells, strict=True)]
    rows += [[place[point], 0, study.word(point), *[""] * (len(titles) - 1)] for point in absent]
    first, higher = entries[0], entries[0].higher_is_better(metric)
    data: dict[str, Any] = {
        "label": one_line(first.about(metric).protocol),
        "higher": higher,
        "level": asdict(level) if (level := level_of(first, metric)) else None,
        "intervals": [_ends(entry, metric) for entry in shown],
        "table": {"keys": list(titles), "columns": list(titles.values()), "rows": rows},
        "compared": {"columns": COMPARED, "rows": [*_compared(ranked, place)]},
        "against": [_curves(study, shown, metric, axis) for axis in axes],
    }
    told = [caption.of_table(study, metric, entries, ranked, why)]
    told += [f"Without bias ({one.reference}): {one.caption}" for one, _ in corrected.shown(entries, metric)]
    return Section(data["label"], metric, " ".join(told), entries, ranked, data)


def _values(metric: str, entries: Sequence[Entry]) -> tuple[dict[str, str], list[list[Any]]]:
    """The titles of the columns by their keys, and the cells of each row, without columns that would be empty."""
    titles = dict(COLUMNS)
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    for e in entries:
        value, se, spread = e.value(metric), e.se(metric), e.spread(metric)
        first, error, power = measured_parts(value, se)
        columns["value"].append(cell(value, first + power))
        columns["se"].append(cell(se, error + power))
        columns["sd"].append(cell(spread, "" if spread is None else number(spread, spread)))
        columns["n"].append(cell(e.images(metric) * len(e.rows), _images(e, metric)))
    for one, having in corrected.shown(entries, metric):
        titles[one.field] = f"without bias ({one.reference})"
        found = [corrected.estimate(e, metric, one) if e in having else None for e in entries]
        columns[one.field] = [cell(value[0], measured(*value)) if value else "" for value in found]
    kept = {key: cells for key, cells in columns.items() if key in ALWAYS or any(one != "" for one in cells)}
    return {key: titles[key] for key in kept}, [list(row) for row in zip(*kept.values(), strict=True)]


def _ends(entry: Entry, metric: str) -> list[float] | None:
    """The ends of the 95 % interval for the plots; ``None`` if they are unknown."""
    interval = entry.interval(metric)
    return interval and [float(f"{end:.6g}") for end in interval]


def _images(entry: Entry, metric: str) -> str:
    seeds = len(entry.rows)
    text = f"{entry.images(metric):,}" + (f" × {seeds}" if seeds > 1 else "")
    return text + (f" [{seeds} of {entry.expected} seeds]" if seeds < entry.expected else "")


def _compared(ranked: Sequence[Ranking], place: Mapping[Entry, int]) -> Iterator[list[Any]]:
    """The rows that compare each point with the best of its budget."""
    for ranking in ranked:
        top = ranking.best[:1] if ranking.against else []
        shown = [entry for entry in (*top, *ranking.against) if entry in place]
        for entry in sorted(shown, key=lambda entry: place[entry]):
            gap, p = ranking.against.get(entry, (None, math.nan))
            texts = words(gap, p) if gap else ["best", "", "", ""]
            numbers = (gap.value, gap.gain, gap.p, p) if gap else (0.0, None, None, None)
            cells = [cell(x, text) for x, text in zip(numbers, texts, strict=True)]
            yield [place[entry], int(entry in ranking.best), *cells]


def _curves(study: Study, entries: Sequence[Entry], metric: str, axis: str) -> dict[str, Any]:
    """Curves as names, rows, positions and the looks of the figures; those with the same trials share a curve."""
    own = roles(study, axis if axis not in EVALUATIONS else "")
    place = {entry: i for i, entry in enumerate(entries)}
    named: dict[str, list[Entry]] = {}
    for entry in entries:
        if math.isfinite(entry.value(metric)):
            named.setdefault(curve_name(entry, axis), []).append(entry)
    curves = []
    for name, points in each_once(named).items():
        found = sorted((against(entry, axis), place[entry]) for entry in points)
        style = own.style(points[0])
        look = [style["color"], MARKERS.index(style["marker"]), LINES.index(style["linestyle"])]
        curves.append([name, [i for _, i in found], [x for x, _ in found], look])
    return {"label": EVALUATIONS.get(axis) or one_line(axis), "curves": curves}
