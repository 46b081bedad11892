"""The figures of best practices: what the best other choice of each row changes, and evaluations for equal quality."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from designspace.drawing.files import saved
from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import COLOURS, DARK, FAINT, SMALL, plain, style
from designspace.drawing.panels import annotate, stacked
from designspace.report.evidence.judged import Evidence, Judgement
from designspace.report.evidence.practices import where
from designspace.report.evidence.sheets import Line, Sheet
from designspace.report.figures import quality as equal
from designspace.results.uncertainty import critical_value
from designspace.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = re.compile(r"(changes|quality)_\d+\.png")
"""The names of the figures."""
LEAST = 1e-3
"""The smallest ratio that is drawn."""
MOST, APART = 9, 0.078
"""The largest number of ticks, and the smallest distance of two, as a share of the axis."""
UNSURE = "#888888"
COLOUR = {Judgement.CONTRADICTS: COLOURS[1], Judgement.AGREES: COLOURS[0], Judgement.UNDECIDED: UNSURE}
"""The colours of the verdicts."""
WITHHELD = COLOURS[2]
"""The colour of verdicts that are withheld, which is explained only if there are any."""


def files(sheets: Sequence[Sheet]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the figures, two for each sheet, unless there is nothing to draw."""
    with style():
        for i, sheet in enumerate(sheets, 1):
            if figure := changes(sheet):
                yield f"changes_{i}.png", saved(figure, "png")
            if figure := reached(sheet):
                yield f"quality_{i}.png", saved(figure, "png")


def changes(sheet: Sheet) -> Figure | None:
    """The value with the best other choice of each row, divided by that with the paper's choice.

    By the first line of each row, at the budget nearest to the paper's, in the colour of the verdict at that budget.
    Dots are hollow where evidence is weak. Ticks are all choices, as far as they are in the range of these. ``None`` if
    there is no such comparison of positive values.
    """
    known = [
        (line, one) for line in sheet.leading if (one := line.evidence) and one.of_paper and one.higher is not None
    ]
    lines = [(line, one) for line, one in known if one.at[one.papers_budget].baseline > 0]
    if not lines:
        return None
    figure, (axes,) = stacked(1, 0.8 + 0.27 * len(lines), width=5.0)
    axes.set_xscale("log")
    for y, (_, one) in enumerate(lines):
        _draw_change(axes, y, one)
    limits = axes.get_xlim()
    for y, (_, one) in enumerate(lines):
        _draw_others(axes, y, one)
    axes.set_xlim(limits)
    axes.axvline(1, color=DARK, linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(lines)), [plain(_name(line, one)) for line, one in lines])
    axes.tick_params(axis="y", length=0, labelsize=SMALL)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    _scale(axes)
    axes.set_xlabel("relative to the paper's choice")
    annotate(axes, f"{one_line(sheet.protocol)} of {sheet.data}; grey ticks: all choices")
    withheld = any(one.judgement(one.papers_budget) is Judgement.WITHHELD for _, one in lines)
    keys = [Key(str(kind), _style(colour)) for kind, colour in COLOUR.items()]
    keys += [Key(str(Judgement.WITHHELD), _style(WITHHELD))] * withheld
    if any(_is_doubtful(one) for _, one in lines):
        keys.append(Key("weak evidence", _style(UNSURE, hollow=True)))
    Legend(keys, SMALL, line=1.0).draw(figure)
    return figure


def _name(line: Line, one: Evidence) -> str:
    return f"{line.name}: {one_line(one.rival(one.papers_budget))}\n{one.model}, {where(one, one.papers_budget)}"


def _style(colour: str, *, hollow: bool = False) -> dict[str, Any]:
    found = {"color": colour, "marker": "o", "markersize": 4, "linestyle": "none"}
    return found | ({"markerfacecolor": "white"} if hollow else {})


def _is_doubtful(one: Evidence) -> bool:
    """Whether the dot is hollow: the values are biased, or of networks that have hardly learned."""
    return one.is_weak(one.papers_budget)


def _ratio(one: Evidence, change: float) -> float:
    """The value after a change, divided by that with the paper's choice."""
    return max(1 + change / one.at[one.papers_budget].baseline, LEAST)


def _draw_change(axes: Axes, y: float, one: Evidence) -> None:
    gap = one.at[one.papers_budget].against[one.rival(one.papers_budget)]
    half = critical_value(gap.degrees) * (gap.se or 0.0)
    low, x, high = (_ratio(one, gap.value + sign * half) for sign in (-1, 0, 1))
    colours = COLOUR | {Judgement.WITHHELD: WITHHELD}
    style = _style(colours.get(one.judgement(one.papers_budget), UNSURE), hollow=_is_doubtful(one))
    axes.errorbar([x], [y], xerr=([x - low], [high - x]), elinewidth=1.1, **style)


def _draw_others(axes: Axes, y: float, one: Evidence) -> None:
    found = [_ratio(one, gap.value) for gap in one.at[one.papers_budget].against.values()]
    axes.plot(found, [y] * len(found), marker="|", color=FAINT, markersize=6, linestyle="none", zorder=1.5)


def _scale(axes: Axes) -> None:
    from matplotlib.ticker import NullLocator

    low, high = axes.get_xlim()
    low, high = min(low, 0.8), max(high, 1.25)
    axes.set_xlim(low, high)
    ticks = _ticks(low, high)
    axes.set_xticks(ticks, [f"{tick:.4g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _ticks(low: float, high: float) -> list[float]:
    """At most ``MOST`` ticks, ``APART`` from each other, of a logarithmic axis in a range that includes 1."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = [10.0**power for power in powers]
    tenths = [[round(step * i, 1) for i in range(1, 30)] for step in (0.1, 0.2)] if high < 3 else []
    for ticks in (*tenths, [digit * tick for tick in decades for digit in (1, 2, 5)], decades):
        shown = [tick for tick in ticks if low <= tick <= high]
        gap = min((math.log(b / a) for a, b in pairwise(shown)), default=math.inf)
        if len(shown) <= MOST and gap >= APART * math.log(high / low):
            return shown
    return [1.0]


def reached(sheet: Sheet) -> Figure | None:
    """The evaluations for equal quality, one panel per ablation. ``None`` without an ablation that is small enough."""
    shown = [found for found in sheet.quality if 1 < len(found.reached) <= equal.SMALL]
    return equal.panels(shown) if shown else None
