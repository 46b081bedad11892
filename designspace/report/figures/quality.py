"""The evaluations that each configuration needs for the same quality, with 95 % intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from designspace.drawing.look import COLOURS, DARK, FAINT, plain, wrapped
from designspace.drawing.panels import annotate, stacked
from designspace.report.entry import WORDS
from designspace.report.evidence.quality import Quality, Reached, quality
from designspace.report.study import Study
from designspace.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 40
"""The largest number of configurations that are drawn."""
SMALL = 6
"""The largest number of configurations of an ablation in a figure of several ablations."""
LINE = 0.19
"""The height of a configuration in inches."""
FURTHER = 0.6
"""The height of a further line of a name, in configurations."""
CHARACTERS = 34
"""The largest number of characters per line of a name."""
APART = 1.18
"""The smallest ratio of two NFE that both have labels."""
BEYOND = 1.25
"""How far an arrow reaches beyond the NFE that were measured."""


def equal_quality(study: Study, metric: str, group: int = 0) -> Figure | None:
    """The NFE of each configuration; an arrow where it lies beyond the NFE that were measured.

    ``group`` is the index among those that ``quality`` finds. ``None`` if there is no such group.
    """
    found = quality(study, metric)
    return draw(found[group]) if group < len(found) else None


def draw(found: Quality) -> Figure:
    """The figure of one group: configurations in the order of the ablation, those with the least NFE in colour."""
    figure, (axes,) = stacked(1, 0.9 + LINE * _height(found))
    _panel(axes, found)
    goal = "the drawn reference" if found.drawn else "3 % of the best value"
    text = f"{one_line(found.points[0].about(found.metric).protocol)} within {goal}"
    annotate(axes, f"{found.model}\n{text}\nlines: 95 % intervals; arrows and dotted lines: beyond what was measured")
    return figure


def panels(every: Sequence[Quality]) -> Figure:
    """A panel for each of several groups."""
    sizes = [0.45 + LINE * _height(found) for found in every]
    figure, axes = stacked(len(every), sum(sizes) + 0.25 * len(every), ratios=sizes)
    for panel, found in zip(axes, every, strict=True):
        _panel(panel, found)
        annotate(panel, wrapped(f"{one_line(found.study.about.name)}, {found.model}", CHARACTERS), "left")
    for panel in axes[:-1]:
        panel.set_xlabel("")
    return figure


def _panel(axes: Axes, found: Quality) -> None:
    shown = found.reached[:MOST]
    least = min((one.nfe for one in shown if one.nfe is not None), default=None)
    places = _places(shown)
    for y, one in zip(places, shown, strict=True):
        _draw(axes, y, one, COLOURS[0] if one.nfe == least else DARK)
    axes.set_yticks(places, [plain(wrapped(one.config, CHARACTERS)) for one in shown])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.set_ylim(_height(found) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    _scale(axes, shown)
    axes.set_xlabel(f"{WORDS[found.study.count]} for equal quality")


def _lines(one: Reached) -> float:
    """The height of the name in configurations."""
    return 1 + FURTHER * wrapped(one.config, CHARACTERS).count("\n")


def _height(found: Quality) -> float:
    """The height of all configurations in those of one line."""
    return sum(map(_lines, found.reached[:MOST]))


def _places(shown: Sequence[Reached]) -> list[float]:
    """The position of each configuration; names of two lines have more room."""
    heights = [_lines(one) for one in shown]
    return [sum(heights[:i]) + (height - 1) / 2 for i, height in enumerate(heights)]


def _draw(axes: Axes, y: float, one: Reached, colour: str) -> None:
    first, last = one.measured[0], one.measured[-1]
    low = last if one.low is None else one.low
    high = last * BEYOND if one.high is None else one.high
    axes.plot([low, high], [y, y], color=colour, linewidth=1.1, solid_capstyle="butt")
    if one.high is None:
        axes.plot([high], [y], marker=">", color=colour, markersize=3.6, linestyle="none")
    if one.low == first:
        axes.plot([first / BEYOND, first], [y, y], color=colour, linewidth=1.1, linestyle=(0, (1, 1)))
    if one.nfe is not None:
        axes.plot([one.nfe], [y], marker="o", color=colour, markersize=4.2, linestyle="none")


def _scale(axes: Axes, shown: Sequence[Reached]) -> None:
    from matplotlib.ticker import NullLocator

    ticks = sorted({n for one in shown for n in one.measured})
    axes.set_xscale("log")
    reached = Counter(one.nfe for one in shown)
    kept: list[float] = []
    for n in sorted(ticks, key=lambda n: -reached[n]):  # where many configurations end, a label matters most
        if all(max(n, other) >= APART * min(n, other) for other in kept):
            kept.append(n)
    axes.set_xticks(sorted(kept), [f"{n:.4g}" for n in sorted(kept)])
    axes.xaxis.set_minor_locator(NullLocator())
    for n in ticks:
        axes.axvline(n, color=FAINT, linewidth=0.4, zorder=0)
    axes.set_xlim(ticks[0] / BEYOND / 1.05, ticks[-1] * BEYOND * 1.08)
