"""Fronts and heat maps drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.report.evidence.inference import Z
from designspace.report.figures.heat import HeatPanel
from designspace.report.figures.pareto import CostPanel
from designspace.report.figures.scales import labels, log_ticks
from designspace.style import FAINT, NOTE, WIDTH, look, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 12
"""Configurations of a front that have colours of their own."""
ACROSS = 4
"""Columns of a heat map: of two with so many there is room beside each other."""
FRONT: Any = {"color": "#444444", "linewidth": 0.9, "zorder": 1.5}
BEATEN: Any = {"color": FAINT, "marker": ".", "markersize": 3}
SHADES = "cividis"
"""Told apart by the colour-blind and in grey."""


def pareto(panels: Sequence[CostPanel]) -> Figure:
    """The metric against its cost, log-log: every point, and the front of those that nothing beats."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(p.name for panel in panels for p in panel.points if p.on_front))
    looks = {name: look(i) | {"linestyle": "none", "zorder": 3} for i, name in enumerate(names[:NAMED])}
    rows = -(-len(looks) // _across(looks))
    figure = Figure(figsize=(WIDTH, 2.2 * len(panels) + 0.25 + 0.15 * rows), layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        _front(axes, panel, looks)
    _legend(figure, looks)
    return figure


def _front(axes: Axes, panel: CostPanel, looks: dict[str, dict[str, Any]]) -> None:
    for point in panel.points:
        own = looks.get(point.name) if point.on_front else None
        axes.plot(point.cost, point.value, **(own or BEATEN))
    best = [point for point in panel.points if point.on_front]
    axes.step([p.cost for p in best], [p.value for p in best], where="post", **FRONT)
    ends = [(max(p.value - Z * p.se, p.value / 10), p.value + Z * p.se) if p.se else (p.value,) * 2 for p in best]
    for point, (low, high) in zip(best, ends, strict=True):
        axes.plot([point.cost] * 2, [low, high], **FRONT)
    axes.set(xscale="log", yscale="log", xlabel=plain(panel.cost), ylabel=plain(panel.protocol))
    _ticks(axes.xaxis, [p.cost for p in panel.points], 4)
    _ticks(axes.yaxis, [*(p.value for p in panel.points), *(end for pair in ends for end in pair)], 6)
    axes.set_title(plain(panel.note), loc="right", pad=3, **NOTE)


def _ticks(axis: Any, numbers: Sequence[float], most: int) -> None:
    from matplotlib.ticker import NullFormatter

    low, high = min(numbers), max(numbers)
    ticks = log_ticks(low, high) if high > 1.01 * low else [low]
    found = labels(ticks[:: -(-len(ticks) // most)])
    axis.set_ticks(list(found), list(found.values()))
    axis.set_minor_formatter(NullFormatter())


def _across(names: dict[str, Any]) -> int:
    longest = max(map(len, names), default=1)
    return min(len(names) or 1, 4 if longest < 12 else 3 if longest < 18 else 2 if longest < 30 else 1)


def _legend(figure: Figure, looks: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style, label=plain(wrapped(name, 46))) for name, style in looks.items()]
    handles.append(Line2D([], [], **FRONT, label="the front"))
    figure.legend(handles=handles, loc="outside upper center", ncols=_across(looks), fontsize=6.5, handlelength=1.6)


def heat_map(panels: Sequence[HeatPanel]) -> Figure:
    """The metric in colour and as a number; in bold what cannot be told from the best of its panel."""
    from matplotlib.figure import Figure

    across = 1 if max(len(panel.columns) for panel in panels) > ACROSS else min(2, len(panels))
    down, rows = -(-len(panels) // across), max(len(panel.rows) for panel in panels)
    figure = Figure(figsize=(WIDTH, down * (0.75 + 0.21 * rows)), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _heat(axes, panel)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    return figure


def _heat(axes: Axes, panel: HeatPanel) -> None:
    from matplotlib.colors import LogNorm, Normalize

    finite = panel.values[np.isfinite(panel.values)]
    low, high = float(finite.min()), float(finite.max())
    norm: Normalize = LogNorm(low, high) if 0 < low < high else Normalize(low, high)
    axes.imshow(panel.values, cmap=SHADES, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(panel.values):
        text = (f"{value:.3g}" if value < 1000 else f"{value:,.0f}") if math.isfinite(value) else ""
        light = math.isfinite(value) and norm(value) > 0.6
        weight = "bold" if panel.best[row, column] else "normal"
        colour = "black" if light else "white"
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour, weight=weight)
    axes.set_xticks(range(len(panel.columns)), [f"{v:g}" for v in panel.columns])
    axes.set_yticks(range(len(panel.rows)), [f"{v:g}" for v in panel.rows])
    axes.grid(visible=False)
    axes.set(xlabel=_short(panel.x), ylabel=_short(panel.y))
    width = 60 if len(panel.columns) > ACROSS else 26
    title = "\n".join(wrapped(text, width) for text in (panel.title, panel.protocol) if text)
    axes.set_title(plain(title), loc="left", pad=3, **NOTE)


def _short(axis: str) -> str:
    """A field without its row."""
    return plain(axis.rpartition(".")[2])
