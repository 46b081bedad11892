"""Figures of a metric against the number of evaluations or the values of an axis, with one curve per configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from designspace.drawing.ends import End, height_of, label_ends, width_of
from designspace.drawing.given import is_given, length
from designspace.drawing.legend import Key, Legend, fitting
from designspace.drawing.look import BASELINE, DARK, FAINT, WIDTH
from designspace.drawing.panels import CROWDED, LEVEL, Curve, draw_intervals, draw_level, stacked
from designspace.drawing.scales import Scale, dodge
from designspace.report.figures.metric import MetricPanel, panels
from designspace.report.figures.titles import Scales, columns_of, note_of, note_of_all, title_each, title_multiples
from designspace.report.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALL, NAMED = 12, 8
"""Up to ``ALL`` curves all have a colour and a name; if there are more, the ``NAMED`` best ones do."""
MANY = 10_000
"""If there are more points than this, those without a name are drawn as an image in vector formats."""
TOGETHER = 50
"""The number of curves without a name that are drawn as one line."""
HEIGHT, LABELS = 2.4, 1.65
"""The height of a row of panels, and the smallest height of their axes, beside which labels stand, in inches."""
LINES, LINE = 2, 0.11
"""The number of lines of a note for which there is room, and the height of each further one in inches."""
LEFT = 0.6
"""The width of the numbers and the label of a y axis, in inches."""
NUMBERS = 0.4
"""The width of the numbers of the y axis of one of several panels side by side, in inches."""
SHARE = 0.42
"""The largest share of a panel's width for the labels of its curves; if they need more, there is a legend."""
OTHERS: dict[str, Any] = {"color": FAINT, "linewidth": 0.6, "marker": ".", "markersize": 2, "zorder": 1.5}
GREY = "#8A8A8A"
"""The colour of the word for the curves without a name."""


def metric_vs_nfe(study: Study, metric: str) -> Figure | None:
    """The metric against the counted evaluations with 95 % intervals; ``None`` if nothing has been measured."""
    return draw(found) if (found := panels(study, metric)) else None


def metric_vs_axis(study: Study, metric: str, axis: str) -> Figure | None:
    """The metric against the values of an axis with 95 % intervals; ``None`` if nothing has been measured."""
    return draw(found) if (found := panels(study, metric, axis)) else None


@dataclass(frozen=True)
class _Plan:
    """How the panels of a figure are arranged, and which curves have names."""

    panels: Sequence[MetricPanel]
    named: frozenset[str]

    @property
    def multiples(self) -> bool:
        """Whether the panels are small multiples, rather than values that are not comparable."""
        return any(panel.title for panel in self.panels)

    @property
    def columns(self) -> int:
        """The number of panels side by side."""
        return columns_of(len(self.panels)) if self.multiples else 1

    @property
    def rows(self) -> int:
        """The number of panels one above the other."""
        return math.ceil(len(self.panels) / self.columns)

    @property
    def width(self) -> float:
        """The width of the figure in inches: of one or of two printed columns."""
        return WIDTH if self.columns == 1 else 2 * WIDTH

    @property
    def labels(self) -> float:
        """The width of the labels at the ends of the curves in inches; 0 if there is a legend instead."""
        if is_given():  # the user's figure may have no room beside the axes
            return 0.0
        width = width_of([*self.named, *(panel.level.name for panel in self.panels if panel.level)])
        texts = [name.replace("\n", "") for name in self.named]
        return width if width <= SHARE * self.width / self.columns and len(set(texts)) == len(texts) else 0.0

    @property
    def axis(self) -> float:
        """The length of an x axis in inches."""
        return (self.width - LEFT) / self.columns - self.labels - (0.1 if self.columns == 1 else NUMBERS)


def draw(panels: Sequence[MetricPanel]) -> Figure:
    """Draw the panels; small multiples, which have titles, side by side, others one below the other."""
    scales = [Scales.of(panel, panels) for panel in panels]
    plan, legend = _plan(panels, scales)
    note = note_of_all(panels, scales) if plan.multiples else ""
    if legend and not is_given():
        legend, note = replace(legend, note=note), ""  # because both stand above all panels
    beside = plan.width - plan.labels
    notes = [note] if plan.multiples else [note_of(*one, beside) for one in zip(panels, scales, strict=True)]
    further = [max(one.count("\n") + 1 - LINES, 0) for one in notes]
    figure, grid = stacked(
        plan.rows,
        HEIGHT * plan.rows + LINE * sum(further) + (legend.height if legend else 0),
        plan.columns,
        width=plan.width,
        panels=len(panels),
    )
    for axes, panel, scale in zip(grid, panels, scales, strict=False):
        ends = _draw_panel(axes, panel, plan.named, scale)
        if not legend:
            label_ends(axes, ends, LABELS)
        scale.x.put_on_x(axes, length(axes, plan.axis))
        scale.y.put_on_y(axes)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if plan.multiples:
        title_multiples(figure, grid, panels, scales, note)
    else:
        title_each(figure, grid, panels, scales)
    if legend:
        legend.draw(figure)
    return figure


def _plan(panels: Sequence[MetricPanel], scales: Sequence[Scales]) -> tuple[_Plan, Legend | None]:
    """Which curves have names: as many as have room beside the axes or, in a legend, in a quarter of the figure."""
    best = _by_merit(panels)
    best = best if len(best) <= ALL else best[:NAMED]
    room = LABELS - 2 * height_of("")  # without the names of the level and of the other curves
    while len(best) > 1 and sum(map(height_of, best)) > room:
        best.pop()
    plan = _Plan(panels, frozenset(best))
    if plan.labels:
        return plan, None
    styles = {curve.name: curve.style for panel in panels for curve in panel.curves}
    shown = [p.level.name for p, s in zip(panels, scales, strict=True) if p.level and s.y.shows(p.level.value)]
    fixed = [Key(name, LEVEL) for name in dict.fromkeys(shown)]
    legend = fitting([Key(name, styles[name]) for name in best], fixed, HEIGHT * plan.rows / 3, width=plan.width)
    return _Plan(panels, frozenset(key.name for key in legend.keys)), legend


def _by_merit(panels: Sequence[MetricPanel]) -> list[str]:
    """The names of the curves: the baseline, those that are best somewhere, then by their mean rank."""
    ranks: dict[str, list[int]] = {curve.name: [] for panel in panels for curve in panel.curves}
    for panel in panels:
        for x in panel.x:
            here = {c.name: y for c in panel.curves for at, y in zip(c.x, c.y, strict=True) if at == x}
            if 2 * len(here) < len(panel.curves):
                continue  # to be the best of few means little
            for rank, name in enumerate(sorted(here, key=lambda n: -here[n] if panel.higher else here[n])):
                ranks[name].append(rank)
    base = {c.name for panel in panels for c in panel.curves if c.style.get("color") == BASELINE["color"]}
    worst = len(ranks)
    mean = {name: sum(of) / len(of) if of else worst for name, of in ranks.items()}
    return sorted(ranks, key=lambda name: (name not in base, min(ranks[name], default=worst) > 0, mean[name]))


def _draw_panel(axes: Axes, panel: MetricPanel, names: frozenset[str], scales: Scales) -> list[End]:
    """Draw the curves of a panel, and return the ends of those that have names."""
    named = [curve for curve in panel.curves if curve.name in names]
    others = [curve for curve in panel.curves if curve.name not in names]
    _draw_others(axes, others)
    shifted = [
        replace(curve, x=[scales.x.moved(x, aside) for x in curve.x])
        for curve, aside in zip(named, dodge(scales.x, len(named)), strict=True)
    ]
    lowest = None if scales.y.threshold else scales.y.low
    for curve in shifted:
        draw_intervals(axes, curve, curve.style["color"], lowest, crowded=len(named) > CROWDED)
        axes.plot(curve.x, curve.y, zorder=3, **curve.style)
    ends = [_end(curve.name, curve.x[-1], curve.y[-1], curve.style["color"], scales.y) for curve in shifted]
    if panel.level and scales.y.shows(panel.level.value):
        draw_level(axes, panel.level.value, panel.level.sd)
        ends.append(_end(panel.level.name, scales.x.high, panel.level.value, DARK, scales.y))
    if others:
        middle = sorted(others, key=lambda curve: curve.y[-1])[len(others) // 2]
        ends.append(_end(f"{len(others):,} more", middle.x[-1], middle.y[-1], GREY, scales.y))
    return ends


def _end(name: str, x: float, y: float, colour: str, scale: Scale) -> End:
    y = min(max(y, scale.low), scale.high)
    return End(name, x, y, scale.share(y), colour)


def _draw_others(axes: Axes, curves: Sequence[Curve]) -> None:
    """Draw the curves without a name as lines with gaps: one for each takes minutes, and one for all much memory."""
    many = sum(len(curve.x) for curve in curves) > MANY
    for start in range(0, len(curves), TOGETHER):
        some = curves[start : start + TOGETHER]
        x = [number for curve in some for number in (*curve.x, math.nan)]
        y = [number for curve in some for number in (*curve.y, math.nan)]
        axes.plot(x, y, **OTHERS, rasterized=many)
