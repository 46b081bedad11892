"""The main effects drawn: every choice against the baseline."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from designspace.report.evidence.differences import Difference
from designspace.report.evidence.effects import Effects
from designspace.report.evidence.inference import Z
from designspace.report.figures.scales import labels
from designspace.style import COLOURS, MARKERS, NOTE, WIDTH, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from designspace.report.evidence.effects import Factor

    Row = tuple[Factor, object]

MOST = 60
"""Choices that are drawn."""
LINE = 0.75
"""The height of a line of a name, in rows."""
PAPER: Any = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
"""Behind words that would stand on the line of no change."""
WIDE = 10.0
"""Times the usual error: changes that are larger ask for a scale that is logarithmic away from 0."""


def main_effects(found: Sequence[Effects], title: str, label: str, budgeted: str) -> Figure | None:
    """Change of the metric with 95 % intervals, a row for each choice; ``None`` if there is nothing to draw.

    At the lowest and the highest budget, which is called ``budgeted``.
    """
    from matplotlib.figure import Figure

    rows = [(one.factor, choice) for one in _first_of_each(found) for choice in one.factor.choices[1:]][:MOST]
    if not rows:
        return None
    budgets = list(dict.fromkeys(one.budget for one in found))
    shown = list(dict.fromkeys((budgets[0], budgets[-1])))
    factors = list(dict.fromkeys(factor for factor, _ in rows))
    place = _places(rows)
    figure = Figure(figsize=(WIDTH, 0.55 + 0.16 * (max(place.values()) + 1.7)), layout="constrained")
    axes = figure.subplots()
    for i, budget in enumerate(shown):
        at = {one.factor: one for one in found if one.budget == budget}
        _draw(axes, at, place, i - (len(shown) - 1) / 2, i, f"{budgeted} {budget}")
    _names(axes, place, factors)
    _scale(axes, [gap for one in found if one.budget in shown for gap in one.against.values()])
    axes.set_xlabel(plain(label))
    axes.set_title(plain(title), loc="right", pad=3, **NOTE)
    if len(shown) > 1:
        figure.legend(loc="outside upper center", ncols=2, fontsize=6.5, handlelength=1)
    return figure


def _places(rows: Sequence[Row]) -> dict[Row, float]:
    """How far down each row lies: room for every line of its name, and for that of its factor above the first."""
    found: dict[Row, float] = {}
    y, before = -0.5, None
    for factor, choice in rows:
        half = max(0.5, LINE * _word(factor, choice).count("\n") / 2 + 0.5)
        y += half + (0.7 if before not in (None, factor) else 0.0)
        found[factor, choice] = y
        y, before = y + half, factor
    return found


def _word(factor: Factor, choice: Any) -> str:
    return plain(wrapped(factor.word(choice), 26))


def _first_of_each(found: Sequence[Effects]) -> list[Effects]:
    return list({one.factor: one for one in reversed(found)}.values())[::-1]


def _draw(axes: Axes, at: dict[Factor, Effects], place: dict[Row, float], aside: float, i: int, label: str) -> None:
    known = [
        (at[factor].against[choice], y)
        for (factor, choice), y in place.items()
        if factor in at and choice in at[factor].against
    ]
    errors = [Z * (gap.se or 0.0) for gap, _ in known]
    style: dict[str, Any] = {
        "color": COLOURS[i],
        "marker": MARKERS[i],
        "markersize": 3.2,
        "linestyle": "none",
        "elinewidth": 0.9,
    }
    axes.errorbar(
        [gap.value for gap, _ in known], [y + 0.22 * aside for _, y in known], xerr=errors, label=label, **style
    )


def _names(axes: Axes, place: dict[Row, float], factors: Sequence[Factor]) -> None:
    axes.set_yticks(list(place.values()), [_word(factor, choice) for factor, choice in place])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.axvline(0, color="#444444", linewidth=0.8, zorder=1)
    for factor in factors:
        top = min(y for (own, _), y in place.items() if own is factor)
        text = f"{factor.name}, against {factor.baseline}"
        at = (0.01, top - 0.75)
        axes.annotate(plain(wrapped(text, 60)), at, xycoords=("axes fraction", "data"), fontsize=6.2, bbox=PAPER)
    axes.set_ylim(max(place.values()) + 0.7, -1.2)


def _scale(axes: Axes, gaps: Sequence[Difference]) -> None:
    """Linear around 0, where no sign is sure, and logarithmic beyond if some changes are far larger."""
    most = max((abs(gap.value) + Z * (gap.se or 0.0) for gap in gaps), default=0.0)
    errors = [Z * gap.se for gap in gaps if gap.se]
    usual = statistics.median(errors) if errors else 0.0
    from matplotlib.ticker import NullLocator

    axes.grid(visible=False, axis="y")
    if not 0 < WIDE * usual < most:
        axes.margins(x=0.06)
        return
    low, high = (
        min(0.0, *(gap.value - Z * (gap.se or 0.0) for gap in gaps)),
        max(0.0, *(g.value + Z * (g.se or 0.0) for g in gaps)),
    )
    linear = 10 ** round(math.log10(usual))
    axes.set_xscale("symlog", linthresh=linear)
    axes.set_xlim(1.6 * low if low < -linear else -linear, 1.6 * high if high > linear else linear)
    ticks = [0.0, *_decades(linear, 1.6 * high), *(-tick for tick in _decades(linear, -1.6 * low))]
    axes.set_xticks(ticks, list(labels(ticks).values()))
    axes.xaxis.set_minor_locator(NullLocator())


def _decades(linear: float, end: float) -> list[float]:
    """At most four powers of ten."""
    powers = [linear * 10.0**i for i in range(max(0, math.floor(math.log10(max(end, linear) / linear) + 1e-9)) + 1)]
    return powers[:: -(-len(powers) // 4)]
