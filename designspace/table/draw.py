"""Panels drawn in the style of all figures; curves that lie on each other are seen to do so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.style import NOTE, WIDTH, look, plain, wrapped
from designspace.text import and_equal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from designspace.table.panels import Panel

HEIGHT, ALONE = 1.75, 2.4
"""Of a panel, in inches; and of one that is all of a figure."""
NEAR = 0.006
"""Of the height of the axes: curves that are nearer than this everywhere cannot be told apart by eye."""
NAMED = 46
"""Characters that fit into a line of the legend; into a panel's note, whose letters are smaller, a fifth more."""
STRIPES = 4
"""Curves on each other that are each a stripe of full width; of more, the stripes are narrower."""
LINTHRESH = 0.1


def figure(names: Sequence[str], panels: Sequence[Panel], columns: int = 1) -> Figure:
    """``panels``, so many beside each other, with one legend; designs that are equal in all of them are one entry."""
    from matplotlib.figure import Figure

    equal = _groups(len(names), lambda a, b: all(_same(p, a, b) for p in panels))
    keys = [(_joined([names[i] for i in group]), look(k)) for k, group in enumerate(equal)]
    shown = {group[0]: (key, style) for group, (key, style) in zip(equal, keys, strict=True)}
    rows = math.ceil(len(panels) / columns)
    result = Figure(
        figsize=(WIDTH, (HEIGHT * rows if len(panels) > 1 else ALONE) + 0.16 * len(keys) / _beside(keys)),
        layout="constrained",
    )
    for axes, panel in zip(result.subplots(rows, columns, squeeze=False).flat, panels, strict=True):
        _panel(axes, panel, {i: style for i, (_, style) in shown.items()}, {i: names[i] for i in shown}, columns)
    _legend(result, keys, marked=any(panel.points for panel in panels))
    return result


def _panel(axes: Axes, panel: Panel, looks: dict[int, dict[str, Any]], names: dict[int, str], columns: int) -> None:
    _axes(axes, panel, looks)
    shown = list(looks)
    seen = {i: _on_screen(axes, *panel.curves[i]) for i in shown}
    groups = _groups(len(shown), lambda a, b: _near(seen[shown[a]], seen[shown[b]]))
    for group in groups:
        for depth, k in enumerate(group):
            under = len(group) - 1 - depth
            _curve(axes, panel, shown[k], looks[shown[k]], under, under * min(1, STRIPES / len(group)))
    equal = [[shown[k] for k in group] for group in groups if len(group) > 1]
    note = ";  ".join(_sign(panel, group).join(names[i] for i in group) for group in equal)
    note = note if len(note) <= NAMED * 1.2 / columns else "stripes: curves on each other"
    axes.set_title(plain("\n".join(filter(None, [panel.note, note]))), loc="right", pad=3, **NOTE)


def _sign(panel: Panel, group: Sequence[int]) -> str:
    return " = " if all(_same(panel, group[0], i) for i in group) else " ≈ "


def _curve(axes: Axes, panel: Panel, i: int, style: dict[str, Any], under: int, wider: float) -> None:
    """``under`` so many others that lie on it, it is so much wider as to be seen on both sides of them."""
    drawn = style if panel.points else {key: style[key] for key in ("color", "linestyle")}
    if under:
        drawn = drawn | {"linestyle": "-", "linewidth": 1.2 + 1.3 * wider, "markersize": 4.2 + 2.5 * wider}
    axes.plot(*panel.curves[i], solid_capstyle="butt", zorder=2.5 - 0.01 * under, **drawn)


def _axes(axes: Axes, panel: Panel, looks: dict[int, dict[str, Any]]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    for i in looks:  # for the limits; drawn when it is known what lies on what
        axes.plot(*panel.curves[i], linewidth=0)
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


def _on_screen(axes: Axes, x: Any, y: Any) -> Any:
    """The points as parts of the axes' height."""
    return (axes.transScale + axes.transLimits).transform(np.column_stack([x, y]))


def _near(a: Any, b: Any) -> bool:
    inside = (np.abs(a[:, 1] - 0.5) < 0.6) | (np.abs(b[:, 1] - 0.5) < 0.6) | np.isnan(a[:, 1]) | np.isnan(b[:, 1])
    return bool(np.allclose(a[inside], b[inside], rtol=0, atol=NEAR, equal_nan=True))


def _same(panel: Panel, a: int, b: int) -> bool:
    return all(
        np.allclose(p, q, rtol=1e-9, atol=0, equal_nan=True)
        for p, q in zip(panel.curves[a], panel.curves[b], strict=True)
    )


def _groups(count: int, alike: Any) -> list[list[int]]:
    """Numbers that are alike, each group in its order."""
    groups: list[list[int]] = []
    for i in range(count):
        home = next((group for group in groups if alike(group[0], i)), None)
        if home is None:
            groups.append([i])
        else:
            home.append(i)
    return groups


def _joined(names: Sequence[str]) -> str:
    """All names if they fit, else the first and how many are equal to it."""
    text = ", ".join(names)
    return text if len(text) <= NAMED else and_equal(names)


def _beside(keys: Sequence[tuple[str, Any]]) -> int:
    return max(1, min(4, len(keys), int(NAMED * 1.3 / (max(len(name) for name, _ in keys) + 9))))


def _legend(drawn: Figure, keys: Sequence[tuple[str, dict[str, Any]]], *, marked: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **(style if marked else style | {"marker": ""})) for _, style in keys]
    kind: dict[str, Any] = {"handlelength": 2.6, "columnspacing": 1.2, "handletextpad": 0.5, "labelspacing": 0.3}
    legend = drawn.legend(handles, [" "] * len(keys), loc="outside upper center", ncols=_beside(keys), **kind)
    for text, (name, _) in zip(legend.get_texts(), keys, strict=True):  # set here, a leading _ would hide the key
        text.set_text(plain(wrapped(name, NAMED)))
