"""Curves drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from designspace.report.figures.curves import Curve, Panel
from designspace.report.figures.scales import Scale, apart, labels, spaced, x_scale, y_scale
from designspace.report.tables.caption import halves_are
from designspace.style import FAINT, NOTE, WIDTH, look, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOLD_APART = 12
"""Curves that can be; of more, those that come lowest stand out, or highest where that is better."""
FLOOR: dict[str, Any] = {"color": "#444444", "linewidth": 0.9, "linestyle": (0, (4, 2))}
DRAWN: dict[str, Any] = {"color": "#444444", "linewidth": 0.9, "linestyle": (0, (1, 1.5))}


def metric_vs_x(panels: list[Panel]) -> Figure:
    """The metric against NFE or an axis, log-log, with 95 % intervals and the floor: a panel for each protocol."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    marked = _marked(names, panels)
    keys = [(name, look(i)) for i, name in enumerate(marked)]
    keys += [(f"{len(names) - len(marked)} more", {"color": FAINT})] if len(marked) < len(names) else []
    keys += _floor_key(panels)
    size = 7.5 if len(keys) <= 8 else 6.5
    columns, height = _legend_size([name for name, _ in keys], size)
    figure = Figure(figsize=(WIDTH, 2.5 * len(panels) + height), layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        _panel(axes, panel, {name: look(i) for i, name in enumerate(marked)})
    _legend(figure, keys, columns, size)
    return figure


def _marked(names: list[str], panels: list[Panel]) -> list[str]:
    best: dict[str, float] = {}
    for panel in panels:
        for curve in panel.curves:
            values = [-value if panel.higher else value for value in curve.values]
            best[curve.name] = min(best.get(curve.name, math.inf), *values)
    kept = set(sorted(names, key=lambda name: best[name])[:TOLD_APART])
    return [name for name in names if name in kept]


def _panel(axes: Axes, panel: Panel, looks: dict[str, dict[str, Any]]) -> None:
    x, y = x_scale(panel), y_scale(panel)
    shown = [curve for curve in panel.curves if curve.name in looks]
    for curve in (curve for curve in panel.curves if curve.name not in looks):
        axes.plot(curve.x, curve.values, color=FAINT, linewidth=0.6, marker=".", markersize=2, zorder=1.5)
    for curve, aside in zip(shown, apart(panel.x, len(shown)), strict=True):
        _curve(axes, curve, aside, looks[curve.name], y, crowded=len(shown) > 4)
    for level, style in ((panel.floor, FLOOR), (panel.drawn, DRAWN)):
        if level is not None and y.shows(level):
            axes.axhline(level, zorder=1.2, **style)
    _scale(axes, x, y)
    split = y.threshold is not None and math.isfinite(y.threshold)
    axes.set_ylabel(plain(panel.protocol) + (f"\n(linear below {y.threshold:g})" if split else ""))
    axes.set_xlabel(plain(panel.x_label))
    axes.set_title(plain(_note(panel, y)), loc="right", pad=3, **NOTE)


def _curve(axes: Axes, curve: Curve, aside: float, style: dict[str, Any], y: Scale, *, crowded: bool) -> None:
    shifted = [aside * x for x in curve.x]
    down = [
        e if y.threshold else max(min(e, v - y.low / 10), 0) for v, e in zip(curve.values, curve.errors, strict=True)
    ]
    bars: dict[str, Any] = {"elinewidth": 0.7, "capsize": 1.2, "alpha": 0.65} if crowded else {"elinewidth": 0.9}
    if any(curve.errors):
        axes.errorbar(shifted, curve.values, [down, curve.errors], fmt="none", ecolor=style["color"], zorder=2, **bars)
    if any(curve.errors) and not crowded:
        low = [v - d for v, d in zip(curve.values, down, strict=True)]
        high = [v + e for v, e in zip(curve.values, curve.errors, strict=True)]
        axes.fill_between(shifted, low, high, color=style["color"], alpha=0.12, linewidth=0, zorder=1.4)
    axes.plot(shifted, curve.values, zorder=3, **style)


def _scale(axes: Axes, x: Scale, y: Scale) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    axes.set_xscale("log")
    if y.threshold is None:
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif math.isfinite(y.threshold):
        axes.set_yscale("symlog", linthresh=y.threshold)
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
    kept, texts = spaced(x.ticks, x, 2.8), labels(x.ticks)
    axes.set_yticks(y.ticks, labels(y.ticks).values())
    axes.set_xticks(kept, [texts[tick] for tick in kept])
    axes.set_xticks([tick for tick in x.ticks if tick not in kept], minor=True)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _floor_key(panels: list[Panel]) -> list[tuple[str, dict[str, Any]]]:
    sizes = {panel.floor_n for panel in panels if y_scale(panel).shows(panel.floor)}
    name = halves_are(panels[0].higher)
    keys = [(f"{name}{_halves(sizes.pop()) if len(sizes) == 1 else ''}", FLOOR)] if sizes else []
    shown = any(y_scale(panel).shows(panel.drawn) for panel in panels)
    return keys + ([("n images of the reference", DRAWN)] if shown else [])


def _note(panel: Panel, y: Scale) -> str:
    note = panel.note + (", zeros below the axis" if y.threshold is None and min(panel.values) == 0 else "")
    if panel.floor is None or y.shows(panel.floor):
        return note
    return f"{note}\n{halves_are(panel.higher)}{_halves(panel.floor_n)}: {panel.floor:.3g}, off the scale"


def _halves(size: int | None) -> str:
    return f", n′ = {size:,}" if size else ""


def _legend_size(names: list[str], size: float) -> tuple[int, float]:
    """Columns that fit into the width of the figure, and the height in inches."""
    from matplotlib.textpath import TextPath

    texts = [wrapped(name, 46) for name in names]
    lines = [line for text in texts for line in text.split("\n")]
    widest = max(TextPath((0, 0), plain(line), size=size).get_extents().width / 72 for line in lines)
    columns = max(1, min(len(names), 4, int((WIDTH - 0.1) / (widest + 0.065 * size))))
    rows = math.ceil(len(names) / columns)
    return columns, 0.06 + 0.02 * size * rows * max(text.count("\n") + 1 for text in texts)


def _legend(figure: Figure, keys: list[tuple[str, dict[str, Any]]], columns: int, size: float) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style) for _, style in keys]
    legend = figure.legend(
        handles,
        [" "] * len(keys),
        loc="outside upper center",
        ncols=columns,
        fontsize=size,
        handlelength=2.6,
        columnspacing=1.2,
        handletextpad=0.5,
        labelspacing=0.3,
        borderaxespad=0.1,
    )
    for text, (name, _) in zip(legend.get_texts(), keys, strict=True):  # set here, a leading _ would hide the key
        text.set_text(plain(wrapped(name, 46)))
