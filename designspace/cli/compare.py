"""The command compare: compare configurations of one or two reports, with paired errors and corrected p-values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from designspace.cli.errors import clean_errors, print_json, stop, terminal
from designspace.cli.options import Json, Out
from designspace.cli.points import Axes, chosen
from designspace.cli.report import folder_of
from designspace.text import clean, did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from designspace.report import Study
    from designspace.report.entry import Entry
    from designspace.report.evidence.differences import Comparison, Pair

Found = list[tuple[str, list["Comparison"]]]
"""A metric, and comparisons of it under one protocol whose p-values are corrected for their number."""


class Side(NamedTuple):
    """One side of a comparison: the text on the command line and the points that it selects."""

    text: str
    study: Study
    axes: Axes
    points: list[Entry]


def side(text: str, out: Path, other: Study | None = None) -> Side:
    """The points that ``text`` selects. ``other`` is used again if it is the same study. Errors stop the command."""
    from designspace.report import Study
    from designspace.report.points import select

    name, _, settings = text.partition(":")
    folder = folder_of(name, out)
    study = other if other and other.folder.samefile(folder) else Study(folder)
    axes = chosen(text, settings, [dict(point.axes) for point in study.points])
    return Side(text, study, axes, select(study.points, axes))


def pairs(a: Side, b: Side) -> list[Pair]:
    """The pairs to compare: points that agree on the axes that neither side fixes, and on the budget."""
    from designspace.report import points
    from designspace.report.entry import BUDGET

    both = [axis for axis in a.study.about.axes if axis in b.study.about.axes]
    given = {axis: (axis in a.axes) + (axis in b.axes) for axis in both}
    equal = [axis for axis, times in given.items() if times == 0 or (times == 1 and axis in BUDGET)]
    found = [(p, q) for p, q in points.pairs(a.points, b.points, equal) if p is not q]
    if not found:
        same = f" that are equal in {', '.join(equal)}" if equal else ""
        alone = f"; for all pairs of one report, give it once: designspace compare {a.text}" if a.text == b.text else ""
        stop(2, f"{a.text} and {b.text}: no two different points{same}{alone}")
    return found


def compare(
    a: Annotated[str, typer.Argument(help="A report or some of its points: solver_grid:solver=heun,nfe=35")],
    b: Annotated[
        str | None, typer.Argument(help="As A. If omitted, all pairs of points of A are compared.", show_default=False)
    ] = None,
    metric: Annotated[list[str], typer.Option(help="A metric; can be repeated. Default: all.")] = [],  # noqa: B006
    out: Out = Path("reports"),
    json: Json = False,
) -> None:
    """Compare configurations at equal budgets: difference, paired standard error, gain of pairing, p-values.

    A and B are each the name or folder of a report, followed by values of axes; an axis without a value stands for all
    of its values. Points are compared only if they agree on the axes that neither A nor B fixes, and on the budget
    (nfe, nfe_total, num_steps) unless both fix it.

    The gain is the factor by which the number of images would have to grow to reach the same standard error without
    pairing. The corrected p-value takes all printed comparisons of the metric into account (Holm's correction).

    Example: designspace compare solver_grid:solver=heun,nfe=35 solver_grid:solver=euler

    All pairs: designspace compare solver_grid --metric frechet

    Two reports: designspace compare solver_grid:solver=heun solver_grid_trained:solver=heun,denoiser=network
    """
    with clean_errors():
        first = side(a, out)
        second = side(b, out, first.study) if b is not None else None
        found = list(_compared(first, second, _metrics(first, second, metric)))
        if not any(comparisons for _, comparisons in found):
            stop(
                2,
                f"{a}{f' and {b}' if b else ''}: no two finite results with the same budget and protocol",
            )
    if json:
        print_json([row for name, comparisons in found for row in _rows(first, second, name, comparisons)])
    else:
        _show(first, second, found)


def _metrics(a: Side, b: Side | None, asked: Sequence[str]) -> list[str]:
    measured = [list(side.study.about.metrics) for side in (a, b or a)]
    known = [name for name in measured[0] if name in measured[1]]
    if not known:
        words = " against ".join(", ".join(names) for names in measured)
        stop(2, f"{a.text} and {(b or a).text} have no metric in common: {words}")
    for name in asked:
        if name not in known:
            stop(2, f"--metric {name}: not measured.{did_you_mean(name, known)} Metrics: {', '.join(known)}.")
    return list(dict.fromkeys(asked)) or known


def _compared(a: Side, b: Side | None, metrics: Sequence[str]) -> Iterator[tuple[str, list[Comparison]]]:
    from designspace.report.evidence.differences import all_pairs, compared

    if b is None:
        yield from ((name, group) for name in metrics for group in all_pairs(a.study, name, a.points))
        return
    for name in metrics:
        both = [(p, q) for p, q in pairs(a, b) if p.has(name) and q.has(name)]
        for p, q in both:
            if p.protocol(name) != q.protocol(name):
                _refuse(name, (a, b), (p, q))
        finite = [(p, q) for p, q in both if math.isfinite(p.value(name)) and math.isfinite(q.value(name))]
        yield name, compared(a.study, finite, name, b.study)


def _refuse(metric: str, sides: tuple[Side, Side], pair: tuple[Any, Any]) -> None:
    from designspace.report.tables import caption
    from designspace.text import describe

    what = caption.differ([[point] for point in pair], metric)
    lines = [
        f"  {side.text} ({describe(point.axes)}): {caption.protocol(metric, [point])}"
        for side, point in zip(sides, pair, strict=True)
    ]
    stop(2, f"{metric}: values of different {what} cannot be compared", *lines)


def _rows(a: Side, b: Side | None, metric: str, comparisons: Sequence[Comparison]) -> Iterator[dict[str, Any]]:
    from designspace.report.tables.comparisons import flat
    from designspace.results.records import plain

    for one in comparisons:
        names = {"report_a": a.study.about.name, "report_b": (b or a).study.about.name}
        points = {"axes_a": one.a.axes, "axes_b": one.b.axes, "paired": one.found.paired}
        yield plain({"metric": metric, **names, **flat(a.study, one, metric), **points})


def _show(a: Side, b: Side | None, found: Found) -> None:
    from rich.text import Text

    from designspace.report.tables import caption

    console = terminal()
    for metric, comparisons in found:
        if comparisons:
            first = comparisons[0].a
            about = f"{caption.protocol(metric, [first])}; {caption.better(first.higher_is_better(metric))}. "
            about += f"p corrected for {len(comparisons)} comparisons (Holm). " if len(comparisons) > 1 else ""
            points = [point for one in comparisons for point in (one.a, one.b)]
            about += " ".join(filter(None, [caption.yardstick(metric, first), caption.training_runs(points)]))
            console.print(Text(clean(about.strip()), style="dim"))
            drawn = _drawn(a, b, comparisons)
            console.print(drawn, width=max(console.width, console.measure(drawn).minimum), crop=False)


def _drawn(a: Side, b: Side | None, comparisons: Sequence[Comparison]) -> Table:
    """The table of the comparisons.

    The budget has a column of its own if it is equal on both sides, and so have the counted evaluations of both sides
    if any of them differ.
    """
    from rich.table import Table
    from rich.text import Text

    from designspace.report.entry import WORDS
    from designspace.report.evidence.inference import LEVEL
    from designspace.report.tables.comparisons import words
    from designspace.text import describe, one_line, value_of

    axis = a.study.column_axis or ""
    equal = all(one.b.axes.get(axis) == one.a.axes.get(axis) for one in comparisons)
    budget = [axis] if axis and equal else []
    names = [one_line(side.study.about.name) for side in (a, b or a)]
    sides = [f"{side} ({name})" if names[0] != names[1] else side for side, name in zip("AB", names, strict=True)]
    drawn = Table(box=None, header_style="bold")
    rows: list[list[str]] = []
    known = max((side.study.counts for side in (a, b or a)), key=len)
    shown = [count for count in known if any(one.a.spent(count) != one.b.spent(count) for one in comparisons)]
    spent = [f"{WORDS[count]} {side}" for count in shown for side in "AB"]
    for one in comparisons:
        points = [p.config if equal else describe(p.axes) for p in (one.a, one.b)]
        counts = [f"{p.spent(count):.4g}" for count in shown for p in (one.a, one.b)]
        cells = [*(value_of(one.a.axes[axis]) for axis in budget), *points, *counts, *words(one.found, one.corrected)]
        rows.append(cells)
    names = [*budget, *sides, *spent, "A - B", "gain", "p", "corrected"]
    for name, *column in zip(names, *rows, strict=True):
        parts = [part for text in (name, *column) for part in (text.split() if name in sides else [text])]
        # At least as wide as its longest word, or its longest number with error, so that none is broken.
        drawn.add_column(Text(name), justify="left" if name in sides else "right", min_width=max(map(len, parts)))
    for one, cells in zip(comparisons, rows, strict=True):
        drawn.add_row(*(Text(clean(cell)) for cell in cells), style="bold" if one.corrected <= LEVEL else "")
    return drawn
