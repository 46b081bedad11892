"""Figures of designs: the rows of Table 1 as curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from designspace.drawing.legend import NAME, Key, Legend, joined
from designspace.drawing.look import look, style
from designspace.drawing.panels import Curve, annotate, stacked
from designspace.drawing.panels import Panel as AnyPanel
from designspace.table.curves import Array, RowCurves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIGMA = r"noise level $\sigma$"
ALIKE = 10
"""If the ranges of two curves differ by more than this factor, the smaller one would look like a flat line."""
HEIGHT, ALONE = 1.75, 2.4
"""The height in inches of one of several panels, and of the only panel of a figure."""
NEAR = 0.006
"""Curves count as coinciding if they differ by less than this fraction of the axes' height everywhere."""
STRIPES = 4
"""Up to this many coinciding curves are drawn as stripes of full width; if there are more, the stripes are narrower."""
LINTHRESH = 0.1
WRAPPED = 75
"""The largest number of characters in a line of a note."""


@dataclass(frozen=True, eq=False)
class Panel(AnyPanel):
    """One curve per design, and the scales and labels of the axes."""

    curves: Sequence[Curve]
    """The curves in the order of the designs."""
    x_label: str = SIGMA
    x_scale: Literal["log", "linear"] = "log"
    y_scale: Literal["log", "linear", "symlog"] = "linear"
    y_limits: tuple[float, float] | None = None
    points: bool = False
    """Whether each value is marked."""


def figures(curves: Sequence[RowCurves]) -> Iterator[tuple[str, Figure]]:
    """The figures ``schedule``, ``time_steps``, ``preconditioning`` and ``training`` with their names."""
    for name, columns, panels in sheets(curves):
        yield name, figure(panels, columns)


def sheets(curves: Sequence[RowCurves]) -> Iterator[tuple[str, int, list[Panel]]]:
    """The name of each figure, the number of panels side by side, and the panels."""
    yield "schedule", 1, _schedule(curves)
    yield "time_steps", 1, [_time_steps(curves)]
    yield "preconditioning", 2, _preconditioning(curves)
    yield "training", 1, _training(curves)


def figure(panels: Sequence[Panel], columns: int = 1) -> Figure:
    """Draw panels, ``columns`` of them side by side. Designs that are equal in all panels share a legend entry."""
    names = [curve.name for curve in panels[0].curves]
    equal = _groups(len(names), lambda a, b: all(_same(panel, a, b) for panel in panels))
    looks = {group[0]: look(k) for k, group in enumerate(equal)}
    marked = any(panel.points for panel in panels)
    keys = [
        Key(joined([names[i] for i in group]), looks[group[0]] if marked else looks[group[0]] | {"marker": ""})
        for group in equal
    ]
    legend, rows = Legend(keys, 7.5), math.ceil(len(panels) / columns)
    with style():
        result, grid = stacked(rows, (HEIGHT * rows if len(panels) > 1 else ALONE) + legend.height, columns)
        for axes, panel in zip(grid, panels, strict=True):
            _draw(axes, panel, looks, columns)
        legend.draw(result)
    return result


def _schedule(curves: Sequence[RowCurves]) -> list[Panel]:
    low, high = min(c.levels[-1] for c in curves), max(c.levels[0] for c in curves)
    sigma = Panel(
        r"schedule $\sigma(t)$",
        [Curve(c.name, c.time, c.schedule) for c in curves],
        x_label="",
        x_scale="linear",
        y_scale="log",
        y_limits=(low / 1.5, high * 1.5),
    )
    s = Panel(
        r"scaling $s(t)$",
        [Curve(c.name, c.time, c.scaling) for c in curves],
        x_label=r"$t\,/\,t_{\max}$, with $\sigma(t_{\max})$ = highest level",
        x_scale="linear",
    )
    return [sigma, s]


def _time_steps(curves: Sequence[RowCurves]) -> Panel:
    n = len(curves[0].levels)
    searches = [f"{c.name} {c.search_nfe:,.6g}" for c in curves if c.measured]
    measured = f", measured rules before their measurement; its evaluations per image: about {', '.join(searches)}"
    return Panel(
        r"time steps $\sigma_i$",
        [Curve(c.name, np.arange(n) / n, c.levels) for c in curves],
        x_label="i / N",
        x_scale="linear",
        y_scale="log",
        points=True,
        note=fill(f"N = {n}, then 0" + measured * bool(searches), WRAPPED),
    )


def _preconditioning(curves: Sequence[RowCurves]) -> list[Panel]:
    return [
        _against_sigma(r"$c_\mathrm{skip}$", curves, lambda c: c.c_skip, x_label=""),
        _c_out(curves),
        _against_sigma(r"$c_\mathrm{in}$", curves, lambda c: c.c_in),
        _c_noise(curves),
    ]


def _c_out(curves: Sequence[RowCurves]) -> Panel:
    """The panel of c_out: linear or, if c_out grows with sigma, logarithmic on both sides of 0."""
    label, large = r"$c_\mathrm{out}$", max(abs(c.c_out).max() for c in curves) > ALIKE
    scale: dict[str, Any] = {"y_scale": "symlog", "note": f"linear within ±{LINTHRESH}"} if large else {}
    return _against_sigma(label, curves, lambda c: c.c_out, x_label="", **scale)


def _c_noise(curves: Sequence[RowCurves]) -> Panel:
    """The panel of c_noise: the values or, if the ranges of designs differ too much, fractions of each range."""
    ends = {c.name: (np.nanmin(c.c_noise), np.nanmax(c.c_noise)) for c in curves}
    ranges = [high - low for low, high in ends.values()]
    if max(ranges) <= ALIKE * min(ranges):
        return _against_sigma(r"$c_\mathrm{noise}$", curves, lambda c: c.c_noise)

    def share(c: RowCurves) -> Array:
        low, high = ends[c.name]
        return np.asarray((c.c_noise - low) / ((high - low) or 1))

    return _against_sigma(r"$c_\mathrm{noise}$, part of its range", curves, share)


def _training(curves: Sequence[RowCurves]) -> list[Panel]:
    return [
        _against_sigma(r"loss weight $\lambda$", curves, lambda c: c.loss_weight, x_label="", y_scale="log"),
        _against_sigma(r"density $p(\ln\sigma)$", curves, lambda c: c.density, x_label=""),
        _against_sigma(r"$\lambda\,c_\mathrm{out}^2\,p(\ln\sigma)$", curves, lambda c: c.effective_weight),
    ]


def _against_sigma(label: str, curves: Sequence[RowCurves], y: Callable[[RowCurves], Array], **axes: Any) -> Panel:
    return Panel(label, [Curve(c.name, c.sigma, y(c)) for c in curves], **axes)


def _draw(axes: Axes, panel: Panel, looks: Mapping[int, dict[str, Any]], columns: int) -> None:
    """Draw the curves of the designs in ``looks``, with a note on which of them coincide."""
    _set_axes(axes, panel, list(looks))
    shown = list(looks)
    seen = {i: _on_screen(axes, panel.curves[i]) for i in shown}
    groups = _groups(len(shown), lambda a, b: _near(seen[shown[a]], seen[shown[b]]))
    for group in groups:
        for depth, k in enumerate(group):
            under = len(group) - 1 - depth
            _draw_curve(axes, panel, shown[k], looks[shown[k]], under, under * min(1, STRIPES / len(group)))
    equal = [[shown[k] for k in group] for group in groups if len(group) > 1]
    note = ";  ".join(_sign(panel, group).join(panel.curves[i].name for i in group) for group in equal)
    note = note if len(note) <= NAME * 1.2 / columns else "stripes: coinciding curves"
    annotate(axes, "\n".join(filter(None, [panel.note, note])))


def _draw_curve(axes: Axes, panel: Panel, i: int, style: dict[str, Any], under: int, wider: float) -> None:
    """Draw a curve. If ``under`` other curves cover it, it is wider than these and visible on both sides of them."""
    drawn = style if panel.points else {key: style[key] for key in ("color", "linestyle")}
    if under:
        drawn = drawn | {"linestyle": "-", "linewidth": 1.2 + 1.3 * wider, "markersize": 4.2 + 2.5 * wider}
    curve = panel.curves[i]
    axes.plot(curve.x, curve.y, solid_capstyle="butt", zorder=2.5 - 0.01 * under, **drawn)


def _set_axes(axes: Axes, panel: Panel, shown: Sequence[int]) -> None:
    """Set scales and limits, before anything is drawn, because they determine which curves coincide."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    for i in shown:
        axes.plot(panel.curves[i].x, panel.curves[i].y, linewidth=0)
    if panel.y_scale == "linear":
        axes.axhline(0, linewidth=0)
    axes.set_xscale(panel.x_scale)
    if panel.y_scale == "symlog":
        axes.set_yscale("symlog", linthresh=LINTHRESH)
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_yscale(panel.y_scale)
    if panel.x_scale == "log":
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(ylim=panel.y_limits, xlabel=panel.x_label, ylabel=panel.label)
    axes.autoscale_view()
    axes.autoscale(enable=False)


def _on_screen(axes: Axes, curve: Curve) -> Array:
    """The points in units of the axes' width and height."""
    return np.asarray((axes.transScale + axes.transLimits).transform(np.column_stack([curve.x, curve.y])))


def _near(a: Array, b: Array) -> bool:
    inside = (np.abs(a[:, 1] - 0.5) < 0.6) | (np.abs(b[:, 1] - 0.5) < 0.6) | np.isnan(a[:, 1]) | np.isnan(b[:, 1])
    return bool(np.allclose(a[inside], b[inside], rtol=0, atol=NEAR, equal_nan=True))


def _same(panel: Panel, a: int, b: int) -> bool:
    one, two = panel.curves[a], panel.curves[b]
    return all(np.allclose(p, q, rtol=1e-9, atol=0, equal_nan=True) for p, q in ((one.x, two.x), (one.y, two.y)))


def _sign(panel: Panel, group: Sequence[int]) -> str:
    return " = " if all(_same(panel, group[0], i) for i in group) else " ≈ "


def _groups(count: int, alike: Callable[[int, int], bool]) -> list[list[int]]:
    """The indices below ``count``, grouped by whether they are ``alike``."""
    groups: list[list[int]] = []
    for i in range(count):
        home = next((group for group in groups if alike(group[0], i)), None)
        if home is None:
            groups.append([i])
        else:
            home.append(i)
    return groups
