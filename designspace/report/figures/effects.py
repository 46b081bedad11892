"""Main effects: how much each choice changes the metric compared with the baseline's choice."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import COLOURS, DARK, MARKERS, SMALL, plain, wrapped
from designspace.drawing.panels import annotate, stacked
from designspace.drawing.scales import labels
from designspace.report.evidence import effects as evidence
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.effects import Effects, Factor
from designspace.report.figures.metric import measured_on
from designspace.report.study import Study, comparable
from designspace.results.uncertainty import critical_value
from designspace.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Choice = tuple[Factor, object]
MOST = 60
"""The largest number of choices that are drawn."""
LINE = 0.75
"""The height of a line of text in a choice's name, in units of the y axis."""
ASIDE = 0.22
"""The distance between the points of the two budgets, in units of the y axis."""
PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
"""The background of the names of factors, which the line at zero would otherwise cross."""
WIDE = 10.0
"""If any change is larger than this many times the median error, the axis is logarithmic away from zero."""


def main_effects(study: Study, metric: str, group: int = 0) -> Figure | None:
    """The changes of the metric with 95 % intervals at the lowest and the highest budget, one line per choice.

    ``group`` is the index of a group of comparable points. ``None`` if no choices can be compared in this group.
    """
    groups = comparable(study.entries, metric)
    found = evidence.effects(study, metric)[group] if group < len(groups) else []
    choices = [(one.factor, choice) for one in _first_of_each(found) for choice in one.factor.choices[1:]][:MOST]
    if not choices:
        return None
    points, place = groups[group], _places(choices)
    budgets = list(dict.fromkeys(one.budget for one in found))
    shown = list(dict.fromkeys((budgets[0], budgets[-1])))
    figure, (axes,) = stacked(1, 0.85 + 0.16 * (max(place.values()) + 1.7))
    for i, budget in enumerate(shown):
        at = {one.factor: one for one in found if one.budget == budget}
        _draw(axes, at, place, ASIDE * (i - (len(shown) - 1) / 2), _style(i))
    _name_choices(axes, place)
    _set_scale(axes, [gap for one in found if one.budget in shown for gap in one.against.values()])
    axes.set_xlabel(plain(f"change of {one_line(points[0].about(metric).protocol)}"))
    annotate(axes, measured_on(points, metric))
    if len(shown) > 1:
        Legend([Key(_budget(study, budget), _style(i)) for i, budget in enumerate(shown)], SMALL, line=1.0).draw(figure)
    return figure


def _first_of_each(found: Sequence[Effects]) -> list[Effects]:
    """The effects of each factor at the lowest of its budgets."""
    return list({one.factor: one for one in reversed(found)}.values())[::-1]


def _budget(study: Study, budget: object) -> str:
    """``NFE 35``, ``steps 18`` or, if some configurations spend another number of evaluations, ``budget of 35 NFE``."""
    if not study.column_axis:
        return f"{budget}"
    unspent = any(entry.unspent for entry in study.entries if study.budget(entry) == budget)
    return f"budget of {budget} {study.budget_word}" if unspent else f"{study.budget_word} {budget}"


def _style(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 3.2, "linestyle": "none"}


def _places(choices: Sequence[Choice]) -> dict[Choice, float]:
    """The position of each choice on the y axis, with room for all lines of its name and for the factor's name."""
    found: dict[Choice, float] = {}
    y, before = -0.5, None
    for factor, choice in choices:
        half = max(0.5, LINE * _word(factor, choice).count("\n") / 2 + 0.5)
        y += half + (0.7 if before not in (None, factor) else 0.0)
        found[factor, choice] = y
        y, before = y + half, factor
    return found


def _word(factor: Factor, choice: Any) -> str:
    return plain(wrapped(factor.word(choice), 26))


def _draw(
    axes: Axes, at: Mapping[Factor, Effects], place: Mapping[Choice, float], aside: float, style: dict[str, Any]
) -> None:
    known = [
        (at[factor].against[choice], y + aside)
        for (factor, choice), y in place.items()
        if factor in at and choice in at[factor].against
    ]
    errors = [_half_width(gap) for gap, _ in known]
    axes.errorbar([gap.value for gap, _ in known], [y for _, y in known], xerr=errors, elinewidth=0.9, **style)


def _name_choices(axes: Axes, place: Mapping[Choice, float]) -> None:
    axes.set_yticks(list(place.values()), [_word(factor, choice) for factor, choice in place])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.axvline(0, color=DARK, linewidth=0.8, zorder=1)
    for factor in dict.fromkeys(factor for factor, _ in place):
        top = min(y for (own, _), y in place.items() if own is factor)
        text = plain(wrapped(f"{factor.name}, against {factor.baseline}", 60))
        axes.annotate(text, (0.01, top - 0.75), xycoords=("axes fraction", "data"), fontsize=6.2, bbox=PAPER)
    axes.set_ylim(max(place.values()) + 0.7, -1.2)


def _half_width(gap: Difference) -> float:
    """Half the width of the 95 % interval; 0 if it is unknown."""
    return critical_value(gap.degrees) * (gap.se or 0.0)


def _set_scale(axes: Axes, gaps: Sequence[Difference]) -> None:
    """Make the x axis linear or, if some changes are much larger than the errors, logarithmic beyond the errors."""
    from matplotlib.ticker import NullLocator

    ends = [gap.value + side * _half_width(gap) for gap in gaps for side in (-1, 1)]
    errors = [_half_width(gap) for gap in gaps if gap.se]
    usual = statistics.median(errors) if errors else 0.0
    axes.grid(visible=False, axis="y")
    if not 0 < WIDE * usual < max(map(abs, ends), default=0.0):
        axes.margins(x=0.06)
        return
    low, high, linear = min(0.0, *ends), max(0.0, *ends), 10 ** round(math.log10(usual))
    axes.set_xscale("symlog", linthresh=linear)
    axes.set_xlim(1.6 * low if low < -linear else -linear, 1.6 * high if high > linear else linear)
    ticks = [0.0, *_decades(linear, 1.6 * high), *(-tick for tick in _decades(linear, -1.6 * low))]
    axes.set_xticks(ticks, list(labels(ticks).values()))
    axes.xaxis.set_minor_locator(NullLocator())


def _decades(linear: float, end: float) -> list[float]:
    """At most four powers of ten, starting at ``linear``; matplotlib's locator cannot limit one side of zero only.

    If there are fewer than three, multiples of them show that the axis is logarithmic.
    """
    powers = [linear * 10.0**i for i in range(max(0, math.floor(math.log10(max(end, linear) / linear) + 1e-9)) + 1)]
    if len(powers) < 3 and end > linear:
        digits = (1, 2, 5) if len(powers) == 1 else (1, 3)
        return [tick for power in powers for digit in digits if (tick := digit * power) <= end]
    return powers[:: math.ceil(len(powers) / 4)]
