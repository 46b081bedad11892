"""Figures of a metric against the number of evaluations or the values of an axis, with one curve per configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from designspace.drawing.ends import End, height_of, label_ends, width_of
from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import BASELINE, DARK, FAINT, NOTE, SMALL, WIDTH, plain
from designspace.drawing.panels import CROWDED, LEVEL, Curve, annotate, draw_intervals, draw_level, stacked
from designspace.drawing.scales import Scale, dodge, scale_through
from designspace.report.figures.metric import Level, MetricPanel, panels, y_scale
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
LEFT = 0.6
"""The width of the numbers and the label of a y axis, in inches."""
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
        count = len(self.panels) if self.multiples else 1
        return 2 if count == 4 else min(count, 3)

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
        width = width_of([*self.named, *(panel.level.name for panel in self.panels if panel.level)])
        texts = [name.replace("\n", "") for name in self.named]
        return width if width <= SHARE * self.width / self.columns and len(set(texts)) == len(texts) else 0.0

    @property
    def axis(self) -> float:
        """The length of an x axis in inches."""
        return (self.width - LEFT) / self.columns - self.labels - 0.1

    def legend(self, scales: Sequence[Scale]) -> Legend | None:
        """The legend, if there is no room for labels; at most a quarter of the figure is left for it."""
        if self.labels:
            return None
        styles = {c.name: c.style for panel in self.panels for c in panel.curves if c.name in self.named}
        levels = {p.level.name for p, s in zip(self.panels, scales, strict=True) if p.level and s.shows(p.level.value)}
        return Legend([*(Key(*item) for item in styles.items()), *(Key(name, LEVEL) for name in levels)], SMALL)


def draw(panels: Sequence[MetricPanel]) -> Figure:
    """Draw the panels; those with titles, which have the same axes, side by side, others one below the other."""
    plan = _plan(panels)
    alike = [[other for other in panels if other.label == panel.label and plan.multiples] or [panel] for panel in panels]
    scales = [y_scale(same) for same in alike]
    across = [scale_through(sorted({x for panel in same for x in panel.x})) for same in alike]
    legend, several = plan.legend(scales), len({panel.label for panel in panels}) > 1
    height = HEIGHT * plan.rows + (legend.height if legend else 0)
    figure, grid = stacked(plan.rows, height, plan.columns, width=plan.width)
    for i, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        ends = _draw_panel(axes, panel, plan, scales[i], across[i])
        if plan.labels:
            label_ends(axes, ends, LABELS)
        across[i].put_on_x(axes, plan.axis)
        scales[i].put_on_y(axes)
        names = _names(panel, scales[i], across[i])
        if plan.multiples:
            annotate(axes, panel.title, "left", strong=True)
            axes.set_ylabel(names[1] if i % plan.columns == 0 and several else "")
        else:
            axes.set(xlabel=names[0], ylabel=names[1])
            annotate(axes, _note(panel, scales[i]))
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if plan.multiples:
        x, y = _names(panels[0], scales[0], across[0])
        figure.supxlabel(x, fontsize=8)
        if not several:
            figure.supylabel(y, fontsize=8)
        notes = dict.fromkeys(_note(panel, scale) for panel, scale in zip(panels, scales, strict=True))
        figure.suptitle(plain("\n".join(notes)), x=0.99, ha="right", **NOTE)
    if legend:
        legend.draw(figure)
    return figure


def _plan(panels: Sequence[MetricPanel]) -> _Plan:
    """The plan with as many names as have room beside the axes and, in a legend, in a quarter of the figure."""
    best = _by_merit(panels)
    best = best if len(best) <= ALL else best[:NAMED]
    room = LABELS - 2 * height_of("")  # for the names of the level and of the other curves
    while len(best) > 1 and sum(map(height_of, best)) > room:
        best.pop()
    while len(best) > 1:
        plan = _Plan(panels, frozenset(best))
        legend = plan.legend([y_scale([panel]) for panel in panels])
        if legend is None or legend.height <= HEIGHT * plan.rows / 3:
            return plan
        best.pop()
    return _Plan(panels, frozenset(best))


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


def _draw_panel(axes: Axes, panel: MetricPanel, plan: _Plan, scale: Scale, across: Scale) -> list[End]:
    """Draw the curves of a panel, and return the ends of those that have names."""
    named = [curve for curve in panel.curves if curve.name in plan.named]
    others = [curve for curve in panel.curves if curve.name not in plan.named]
    _draw_others(axes, others)
    shifted = []
    for curve, aside in zip(named, dodge(across, len(named)), strict=True):
        shifted.append(replace(curve, x=[across.moved(x, aside) for x in curve.x]))
        lowest = None if scale.threshold else scale.low
        draw_intervals(axes, shifted[-1], curve.style["color"], lowest, crowded=len(named) > CROWDED)
        axes.plot(shifted[-1].x, shifted[-1].y, zorder=3, **curve.style)
    if panel.level and scale.shows(panel.level.value):
        draw_level(axes, panel.level.value, panel.level.sd)
    return [*_ends(shifted, others, panel.level, scale, across)]


def _ends(named: Sequence[Curve], others: Sequence[Curve], level: Level | None, scale: Scale, x: Scale) -> Iterator[End]:
    for curve in named:
        y = min(max(curve.y[-1], scale.low), scale.high)
        yield End(curve.name, curve.x[-1], y, scale.share(y), curve.style["color"])
    if level and scale.shows(level.value):
        yield End(level.name, x.high, level.value, scale.share(level.value), DARK)
    if others:
        ends = sorted((min(max(curve.y[-1], scale.low), scale.high), curve.x[-1]) for curve in others)
        y, at = ends[len(ends) // 2]
        yield End(f"{len(others):,} more", at, y, scale.share(y), GREY)


def _draw_others(axes: Axes, curves: Sequence[Curve]) -> None:
    """Draw the curves without a name as lines with gaps: one for each takes minutes, and one for all much memory."""
    many = sum(len(curve.x) for curve in curves) > MANY
    for start in range(0, len(curves), TOGETHER):
        some = curves[start : start + TOGETHER]
        x = [number for curve in some for number in (*curve.x, math.nan)]
        y = [number for curve in some for number in (*curve.y, math.nan)]
        axes.plot(x, y, **OTHERS, rasterized=many)


def _names(panel: MetricPanel, y: Scale, x: Scale) -> tuple[str, str]:
    """The labels of the x and the y axis."""
    linear = f" (symlog, linear below {x.threshold:g})" if x.mixed else "", f"\n(linear below {y.threshold:g})" if y.mixed else ""
    return plain(panel.x_label) + linear[0], plain(panel.label) + linear[1]


def _note(panel: MetricPanel, scale: Scale) -> str:
    note = panel.note + (", zeros below the axis" if scale.threshold is None and min(panel.values) == 0 else "")
    if panel.level is None or scale.shows(panel.level.value):
        return note
    return f"{note}\n{panel.level.name}: {panel.level.value:.3g}, off the scale"
