"""Main effects: how much each choice changes the metric compared with the baseline's choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from designspace.drawing.given import length
from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import DARK, MARKERS, SMALL, WIDTH, plain, shades, text_width, wrapped
from designspace.drawing.panels import annotate, stacked
from designspace.drawing.scales import scale_of_changes
from designspace.report.evidence import effects as evidence
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.effects import Effects
from designspace.report.evidence.factors import Factor
from designspace.report.figures.metric import measured_on, quantity
from designspace.report.study import Study, rivals
from designspace.results.uncertainty import critical_value
from designspace.text import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Choice = tuple[Factor, object]
MOST = 60
"""The largest number of choices that are drawn."""
LINE = 0.75
"""The height of a line of text in a choice's name, in units of the y axis."""
ASIDE, ASIDE_ROOMY = 0.22, 0.36
"""The distance between the points of the two budgets, in units of the y axis."""
PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
"""The background of the names of factors, which the line at zero would otherwise cross."""
ROOMY = 8
"""Up to this many choices have more room, and their changes are also written as numbers."""
UNIT, UNIT_ROOMY = 0.16, 0.3
"""The unit of the y axis in inches."""
LABEL = 40
"""The largest number of characters per line of the label of the x axis."""
NUMBERS = 5.8
"""The font size of changes as numbers."""


def main_effects(study: Study, metric: str, group: int = 0) -> Figure | None:
    """The changes of the metric with 95 % intervals at the lowest and the highest budget, one line per choice.

    ``group`` is the index of a group of rivals. ``None`` if no choices can be compared in this group.
    """
    groups = rivals(study.entries, metric)
    found = evidence.effects(study, metric)[group] if group < len(groups) else []
    choices = [(one.factor, choice) for one in _first_of_each(found) for choice in one.factor.choices[1:]][:MOST]
    if not choices:
        return None
    points, place = groups[group], _places(choices)
    budgets = list(dict.fromkeys(one.budget for one in found))
    shown = list(dict.fromkeys((budgets[0], budgets[-1])))
    roomy = len(choices) <= ROOMY
    figure, (axes,) = stacked(1, 0.95 + (UNIT_ROOMY if roomy else UNIT) * (max(place.values()) + 1.7))
    colours = shades(len(shown)) if len(shown) > 1 else [DARK]
    apart = ASIDE_ROOMY if roomy else ASIDE
    for i, budget in enumerate(shown):
        at = {one.factor: one for one in found if one.budget == budget}
        _draw(axes, at, place, apart * (i - (len(shown) - 1) / 2), _style(i, colours[i]), written=roomy)
    _name_choices(axes, place)
    gaps = [gap for one in found if one.budget in shown for gap in one.against.values()]
    scale = scale_of_changes([gap.value for gap in gaps], [_ends(gap) for gap in gaps])
    scale.put_on_x(axes, length(axes, _length(axes)))
    axes.set_xlabel(plain(fill(f"change of {quantity(points[0], metric)}", LABEL)))
    annotate(axes, measured_on(points, metric) + ("\nhollow: may be 0" if any(map(_may_be_zero, gaps)) else ""))
    if len(shown) > 1:
        keys = [Key(_budget(study, budget), _style(i, colours[i])) for i, budget in enumerate(shown)]
        Legend(keys, SMALL, line=1.0).draw(figure)
    return figure


def _length(axes: Axes) -> float:
    """The length of the x axis in inches: what the names on the left and the numbers on the right leave."""
    names = [line for tick in axes.get_yticklabels() for line in tick.get_text().split("\n")]
    numbers = [text.get_text() for text in axes.texts if text.get_fontsize() == NUMBERS]
    return WIDTH - 0.2 - text_width(names, SMALL) - text_width(numbers, NUMBERS)


def _first_of_each(found: Sequence[Effects]) -> list[Effects]:
    """The effects of each factor at the lowest of its budgets."""
    return list({one.factor: one for one in reversed(found)}.values())[::-1]


def _budget(study: Study, budget: object) -> str:
    """``NFE 35``, ``steps 18`` or, if some configurations spend another number of evaluations, ``budget of 35 NFE``."""
    if not study.column_axis:
        return f"{budget}"
    unspent = any(entry.unspent for entry in study.entries if study.budget(entry) == budget)
    return f"budget of {budget} {study.budget_word}" if unspent else f"{study.budget_word} {budget}"


def _style(i: int, colour: str) -> dict[str, Any]:
    return {"color": colour, "marker": MARKERS[i], "markersize": 3.4, "markeredgecolor": colour, "linestyle": "none"}


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
    axes: Axes,
    at: Mapping[Factor, Effects],
    place: Mapping[Choice, float],
    aside: float,
    style: dict[str, Any],
    *,
    written: bool,
) -> None:
    """Draw the changes at a budget; those whose interval includes 0 are hollow."""
    known = [
        (at[factor].against[choice], y + aside)
        for (factor, choice), y in place.items()
        if factor in at and choice in at[factor].against
    ]
    halves = [(high - low) / 2 for low, high in (_ends(gap) for gap, _ in known)]
    places = [gap.value for gap, _ in known], [y for _, y in known]
    axes.errorbar(*places, xerr=halves, fmt="none", ecolor=style["color"], elinewidth=0.9)
    for gap, y in known:
        axes.plot(gap.value, y, **style | ({"markerfacecolor": "white"} if _may_be_zero(gap) else {}))
        if written:
            text, beside = measured(gap.value, gap.se).replace("-", "\N{MINUS SIGN}"), axes.get_yaxis_transform()
            axes.text(1.02, y, text, transform=beside, va="center", color=style["color"], fontsize=NUMBERS)


def _name_choices(axes: Axes, place: Mapping[Choice, float]) -> None:
    axes.set_yticks(list(place.values()), [_word(factor, choice) for factor, choice in place])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.axvline(0, color=DARK, linewidth=0.8, zorder=1)
    for factor in dict.fromkeys(factor for factor, _ in place):
        top = min(y for (own, _), y in place.items() if own is factor)
        text = plain(wrapped(f"{factor.name}, against {factor.baseline}", 60))
        axes.annotate(text, (0.01, top - 0.75), xycoords=("axes fraction", "data"), fontsize=6.2, bbox=PAPER)
    axes.set_ylim(max(place.values()) + 0.7, -1.2)
    axes.grid(visible=False, axis="y")


def _ends(gap: Difference) -> tuple[float, float]:
    """The 95 % interval, which is the value itself if its standard error is unknown."""
    half = critical_value(gap.degrees) * (gap.se or 0.0)
    return gap.value - half, gap.value + half


def _may_be_zero(gap: Difference) -> bool:
    low, high = _ends(gap)
    return low <= 0 <= high
