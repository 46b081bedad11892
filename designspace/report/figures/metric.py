"""A metric against the number of evaluations or the values of an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import DARK, FAINT, SMALL, look, plain
from designspace.drawing.panels import CROWDED, Curve, Panel, annotate, draw_intervals, stacked
from designspace.drawing.scales import Scale, dodge, linear_scale, scale_of_distances, scale_through
from designspace.report.entry import BUDGET, Count, Entry, converged_error
from designspace.report.study import Study, comparable
from designspace.text import config_name, joint_name, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EVALUATIONS = {
    "nfe": "NFE (denoiser evaluations per image)",
    "nfe_guidance": "evaluations per image that guidance adds",
    "nfe_total": "network evaluations per image, with those of guidance",
}
"""The labels of x axes, by the count that they show."""
COUNTS: dict[str, Count] = {count: count for count in get_args(Count)}
LEAST_VALUES = 3
"""A metric is drawn against an axis if that has at least this many values."""
NAMED = 12
"""The largest number of curves with their own colour and name; if there are more curves, the best ones have them."""
SHORT_LEGEND = 8
"""The largest number of keys in a legend of normal font size."""
MANY = 10_000
"""If there are more points than this, those without a name are drawn as an image in vector formats."""
TOGETHER = 50
"""The number of curves without a name that are drawn as one line."""
AXIS = 2.8
"""The length of the x axis in inches."""
LEVEL: dict[str, Any] = {"color": DARK, "linewidth": 0.9, "linestyle": (0, (4, 2))}
SPREAD: dict[str, Any] = {"color": DARK, "linewidth": 0, "alpha": 0.1}
OTHERS: dict[str, Any] = {"color": FAINT, "linewidth": 0.6, "marker": ".", "markersize": 2, "zorder": 1.5}


@dataclass(frozen=True)
class Level:
    """A value that the curves can be compared with."""

    name: str
    value: float
    sd: float = 0.0
    """The standard deviation of the value; 0 if it has none."""


@dataclass(frozen=True, eq=False)
class MetricPanel(Panel):
    """One curve per configuration, with comparable values."""

    level: Level | None = None
    higher: bool | None = False
    """Whether higher values are better; ``None`` if neither higher nor lower values are."""

    @property
    def x(self) -> list[float]:
        """The distinct positions on the x axis in increasing order."""
        return sorted({x for curve in self.curves for x in curve.x})

    @property
    def values(self) -> list[float]:
        """The values of all curves."""
        return [y for curve in self.curves for y in curve.y]

    @property
    def y_scale(self) -> Scale:
        """The scale of the y axis: logarithmic for distances, linear for metrics where lower is not better."""
        levels = [self.level.value] if self.level else []
        intervals = [interval for curve in self.curves for interval in curve.intervals]
        return (scale_of_distances if self.higher is False else linear_scale)(self.values, intervals, levels)


def metric_vs_nfe(study: Study, metric: str) -> Figure | None:
    """The metric against the counted evaluations with 95 % intervals; ``None`` if nothing has been measured."""
    return draw(found) if (found := panels(study, metric)) else None


def metric_vs_axis(study: Study, metric: str, axis: str) -> Figure | None:
    """The metric against the values of an axis with 95 % intervals; ``None`` if nothing has been measured."""
    return draw(found) if (found := panels(study, metric, axis)) else None


def panels(study: Study, metric: str, axis: str = "") -> list[MetricPanel]:
    """One panel for each group of comparable points, against the values of ``axis`` or a count of evaluations.

    By default it is the count of the study.
    """
    groups = [[e for e in group if math.isfinite(e.value(metric))] for group in comparable(study.entries, metric)]
    several = len({group[0].reference for group in groups if group}) > 1
    return [_panel(group, metric, several, axis or study.count) for group in groups if group]


def varies_in(study: Study, metric: str, axis: str) -> bool:
    """Whether some curve against ``axis`` or a count of evaluations has points at different positions."""
    for group in comparable(study.entries, metric):
        first: dict[str, float] = {}
        if any(first.setdefault(curve_name(e, axis), at) != at for e in group for at in [against(e, axis)]):
            return True
    return False


def numeric_axes(study: Study) -> list[str]:
    """The axes whose values are several numbers, except for budgets and seeds."""
    axes = [axis for axis in study.about.axes if axis not in (*BUDGET, "seed")]
    values = {axis: {entry.axes[axis] for entry in study.entries} for axis in axes}
    return [axis for axis, of in values.items() if len(of) >= LEAST_VALUES and all(map(_is_finite, of))]


def against(entry: Entry, axis: str) -> float:
    """The position of a point on the x axis: its value of ``axis``, or a count of evaluations."""
    return entry.spent(COUNTS[axis]) if axis in COUNTS else float(entry.axes[axis])


def curve_name(entry: Entry, axis: str) -> str:
    """The name of the curve through this point, against ``axis`` or a count of evaluations."""
    return entry.config if axis in EVALUATIONS else config_name({k: v for k, v in entry.axes.items() if k != axis})


def each_once(configs: Mapping[str, list[Entry]]) -> dict[str, list[Entry]]:
    """The configurations without repetitions: those with the same trials are merged under a joint name."""
    same: dict[tuple[str, ...], list[str]] = {}
    for name, entries in configs.items():
        same.setdefault(tuple(row.id for entry in entries for row in entry.rows), []).append(name)
    return {joint_name(names): configs[names[0]] for names in same.values()}


def level_of(entry: Entry, metric: str) -> Level | None:
    """The drawn reference or, for an observation, the error of the converged solution; ``None`` if there is none."""
    if error := converged_error(entry.rows[0], metric):
        return Level("error of the converged solution", error)
    drawn = entry.drawn(metric)
    return None if drawn is None else Level("drawn reference", *drawn)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def measured_on(entries: Sequence[Entry], metric: str) -> str:
    """A note on what the values of a figure are: ``n = 3,200 images for 3 seeds, bars: 95 % intervals``."""
    bars = "bars: 95 % intervals" if any(e.se(metric) is not None for e in entries) else "no error bars"
    seeds = max(entry.expected for entry in entries)
    note = f"n = {entries[0].images(metric):,} images" + (f" for {seeds} seeds" if seeds > 1 else "") + f", {bars}"
    return note + (", one training run" if any(entry.trainings == 1 for entry in entries) else "")


def _panel(entries: Sequence[Entry], metric: str, several: bool, axis: str) -> MetricPanel:
    first = entries[0]
    about, data = first.about(metric), first.reference
    configs: dict[str, list[Entry]] = {}
    for entry in entries:
        configs.setdefault(curve_name(entry, axis), []).append(entry)
    note = measured_on(entries, metric)
    return MetricPanel(
        label=one_line(about.protocol),
        curves=[_curve(name, points, metric, axis) for name, points in each_once(configs).items()],
        x_label=EVALUATIONS.get(axis) or one_line(axis),
        note=f"{one_line(data)}, {note}" if data and several else note,
        level=level_of(first, metric),
        higher=first.higher_is_better(metric),
    )


def _curve(name: str, entries: Sequence[Entry], metric: str, axis: str) -> Curve:
    ordered = sorted(entries, key=lambda entry: against(entry, axis))
    values = [entry.value(metric) for entry in ordered]
    intervals = [entry.interval(metric) or (y, y) for entry, y in zip(ordered, values, strict=True)]
    return Curve(name, [against(entry, axis) for entry in ordered], values, intervals)


def draw(panels: Sequence[MetricPanel]) -> Figure:
    """Draw the panels one below the other."""
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    looks = {name: look(i) for i, name in enumerate(_best(names, panels))}
    keys = [Key(name, style) for name, style in looks.items()]
    keys += [Key(f"{len(names) - len(looks)} more", {"color": FAINT})] if len(looks) < len(names) else []
    keys += _level_keys(panels)
    legend = Legend(keys, 7.5 if len(keys) <= SHORT_LEGEND else SMALL)
    figure, grid = stacked(len(panels), 2.5 * len(panels) + legend.height)
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, looks)
    legend.draw(figure)
    return figure


def _best(names: Sequence[str], panels: Sequence[MetricPanel]) -> list[str]:
    """The names of the curves with the best values in any panel; the order of ``names`` is kept."""
    best: dict[str, float] = {}
    for panel in panels:
        for curve in panel.curves:
            values = [-value if panel.higher else value for value in curve.y]
            best[curve.name] = min(best.get(curve.name, math.inf), *values)
    kept = set(sorted(names, key=lambda name: best[name])[:NAMED])
    return [name for name in names if name in kept]


def _draw_panel(axes: Axes, panel: MetricPanel, looks: dict[str, dict[str, Any]]) -> None:
    scale, across = panel.y_scale, scale_through(panel.x)
    named = [curve for curve in panel.curves if curve.name in looks]
    _draw_others(axes, [curve for curve in panel.curves if curve.name not in looks])
    for curve, aside in zip(named, dodge(across, len(named)), strict=True):
        shifted = replace(curve, x=[across.moved(x, aside) for x in curve.x])
        lowest = None if scale.threshold else scale.low
        draw_intervals(axes, shifted, looks[curve.name]["color"], lowest, crowded=len(named) > CROWDED)
        axes.plot(shifted.x, shifted.y, zorder=3, **looks[curve.name])
    if panel.level and scale.shows(panel.level.value):
        value, sd = panel.level.value, panel.level.sd
        axes.axhspan(value - sd, value + sd, zorder=1.1, **SPREAD)
        axes.axhline(value, zorder=1.2, **LEVEL)
    across.put_on_x(axes, AXIS)
    scale.put_on_y(axes)
    axes.set_ylabel(plain(panel.label) + (f"\n(linear below {scale.threshold:g})" if scale.mixed else ""))
    axes.set_xlabel(plain(panel.x_label) + (f" (symlog, linear below {across.threshold:g})" if across.mixed else ""))
    annotate(axes, _note(panel, scale))


def _draw_others(axes: Axes, curves: Sequence[Curve]) -> None:
    """Draw the curves without a name as lines with gaps: one for each takes minutes, and one for all much memory."""
    many = sum(len(curve.x) for curve in curves) > MANY
    for start in range(0, len(curves), TOGETHER):
        some = curves[start : start + TOGETHER]
        x = [number for curve in some for number in (*curve.x, math.nan)]
        y = [number for curve in some for number in (*curve.y, math.nan)]
        axes.plot(x, y, **OTHERS, rasterized=many)


def _level_keys(panels: Sequence[MetricPanel]) -> list[Key]:
    shown = [panel.level.name for panel in panels if panel.level and panel.y_scale.shows(panel.level.value)]
    return [Key(name, LEVEL) for name in dict.fromkeys(shown)]


def _note(panel: MetricPanel, scale: Scale) -> str:
    note = panel.note + (", zeros below the axis" if scale.threshold is None and min(panel.values) == 0 else "")
    if panel.level is None or scale.shows(panel.level.value):
        return note
    return f"{note}\n{panel.level.name}: {panel.level.value:.3g}, off the scale"
