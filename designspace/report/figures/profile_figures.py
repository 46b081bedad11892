"""Figures against the noise level."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from designspace.report.figures.profiles import Profile, ProfilePanel
from designspace.style import NOTE, WIDTH, look, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DECADES = 6
"""Below the largest value of a usual profile; smaller ones are left out."""
WIDE = 30.0
"""Times the smallest value: larger ones ask for a logarithmic axis."""
SHARE = 0.3
"""Of a panel's height, for the distribution of the noise levels."""
BEFORE: Any = {"linestyle": (0, (1.5, 1.2)), "linewidth": 0.9}
SHARED = "#777777"
CLOSE = 40
"""Points; of more, no single one can be seen."""


def against_sigma(panels: Sequence[ProfilePanel]) -> Figure:
    """A metric's profiles, one panel below the other; with how it was before training, and the levels that it drew."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(profile.name for panel in panels for profile in panel.profiles))
    looks = dict(zip(names, _looks(names), strict=True))
    rows = -(-len(names) // _columns(names))
    figure = Figure(figsize=(WIDTH, 1.75 * len(panels) + 0.35 + 0.14 * rows), layout="constrained")
    column = figure.subplots(len(panels), squeeze=False, sharex=True)[:, 0]
    for axes, panel in zip(column, panels, strict=True):
        _draw(axes, panel, looks)
    column[-1].set_xlabel("noise level σ")
    _legend(figure, looks, [profile for panel in panels for profile in panel.profiles])
    return figure


def _looks(names: Sequence[str]) -> list[dict[str, Any]]:
    """Ordered values, as of rho, in the order of a colour map; others told apart as in all figures."""
    numbers = [_number(name) for name in names]
    if len(names) < 4 or any(number is None for number in numbers):
        return [look(i) | {"markersize": 2.5} for i in range(len(names))]
    from matplotlib import colormaps

    shades = colormaps["viridis"]
    return [{"color": shades(0.92 * i / (len(names) - 1)), "linewidth": 1.1} for i in range(len(names))]


def _number(name: str) -> float | None:
    try:
        return float(name.rpartition("=")[2])
    except ValueError:
        return None


def _draw(axes: Axes, panel: ProfilePanel, looks: dict[str, dict[str, Any]]) -> None:
    top = statistics.median(max(profile.values) for profile in panel.profiles) or 1.0
    low = top / 10**DECADES
    for profile in panel.profiles:
        own: dict[str, Any] = {"marker": ""} if len(profile.sigma) > CLOSE else {}
        axes.plot(*_seen(profile.sigma, profile.values, low), **looks[profile.name] | own)
        axes.plot(*_seen(profile.sigma, profile.before, low), **BEFORE | {"color": looks[profile.name]["color"]})
    values = [value for profile in panel.profiles for value in (*profile.values, *profile.before)]
    axes.set(xscale="log", ylabel=plain(panel.label))
    if max(values) > WIDE * min(values):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.08 * max(values))
    axes.set_title(plain(panel.title), loc="right", pad=3, **NOTE)
    _distributions(axes, panel, looks)


def _distributions(axes: Axes, panel: ProfilePanel, looks: dict[str, dict[str, Any]]) -> None:
    """Under the curves, each scaled by the highest: where among the levels training looks."""
    drawn: dict[tuple[tuple[float, ...], ...], list[Any]] = {}
    for profile in panel.profiles:
        if profile.density:
            drawn.setdefault((profile.sigma, profile.density), []).append(looks[profile.name]["color"])
    if not drawn:
        return
    below = axes.twinx()
    below.set(ylim=(0, max(max(density) for _, density in drawn) / SHARE), yticks=[])
    below.spines["right"].set_visible(False)
    axes.set_zorder(below.get_zorder() + 1)
    axes.patch.set_visible(False)
    for (sigma, density), colours in drawn.items():
        colour = colours[0] if len(colours) == 1 else SHARED
        below.fill_between(sigma, density, color=colour, alpha=0.15, linewidth=0)
        below.plot(sigma, density, color=colour, alpha=0.5, linewidth=0.5)


def _seen(sigma: Sequence[float], values: Sequence[float], low: float) -> tuple[list[float], list[float]]:
    kept = [(level, value) for level, value in zip(sigma, values, strict=False) if value > low]
    return [level for level, _ in kept], [value for _, value in kept]


def _legend(figure: Figure, looks: dict[str, dict[str, Any]], profiles: Sequence[Profile]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], **style, label=plain(wrapped(name, 40))) for name, style in looks.items()]
    if any(profile.before for profile in profiles):
        handles.append(Line2D([], [], **BEFORE, color="#555555", label="before training"))
    if any(profile.density for profile in profiles):
        handles.append(Patch(facecolor="#555555", alpha=0.25, label="levels drawn in training"))
    columns = _columns(list(looks))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, fontsize=6.5, handlelength=1.8)


def _columns(names: Sequence[str]) -> int:
    """Of the legend, as many as its longest name lets fit."""
    longest = max(map(len, names))
    fitting = 6 if longest < 6 else 3 if longest <= 22 else 2 if longest <= 30 else 1
    return min(len(names), fitting)
