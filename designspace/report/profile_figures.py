"""Figures against the noise level."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from designspace.report.profiles import Profile, ProfilePanel
from designspace.report.style import NOTE, WIDTH, look, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DECADES = 6
"""Below the largest value of a usual profile; smaller ones are left out."""
CLOSE = 40
"""Points; of more, no single one can be seen."""


def against_sigma(panels: Sequence[ProfilePanel]) -> Figure:
    """A metric's profiles, log-log, one panel below the other."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(profile.name for panel in panels for profile in panel.profiles))
    looks = dict(zip(names, _looks(names), strict=True))
    rows = -(-len(names) // _columns(names))
    figure = Figure(figsize=(WIDTH, 1.75 * len(panels) + 0.35 + 0.14 * rows), layout="constrained")
    column = figure.subplots(len(panels), squeeze=False, sharex=True)[:, 0]
    for axes, panel in zip(column, panels, strict=True):
        _draw(axes, panel, looks)
    column[-1].set_xlabel("noise level σ")
    _legend(figure, looks)
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
    for profile in panel.profiles:
        own: dict[str, Any] = {"marker": ""} if len(profile.sigma) > CLOSE else {}
        axes.plot(*_seen(profile, top / 10**DECADES), **looks[profile.name] | own)
    axes.set(xscale="log", yscale="log", ylabel=plain(panel.label))
    axes.set_title(plain(panel.title), loc="right", pad=3, **NOTE)


def _seen(profile: Profile, low: float) -> tuple[list[float], list[float]]:
    kept = [(sigma, value) for sigma, value in zip(profile.sigma, profile.values, strict=True) if value > low]
    return [sigma for sigma, _ in kept], [value for _, value in kept]


def _legend(figure: Figure, looks: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style, label=plain(wrapped(name, 40))) for name, style in looks.items()]
    columns = _columns(list(looks))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, fontsize=6.5, handlelength=1.8)


def _columns(names: Sequence[str]) -> int:
    """Of the legend, as many as its longest name lets fit."""
    longest = max(map(len, names))
    fitting = 6 if longest < 6 else 3 if longest <= 22 else 2 if longest <= 30 else 1
    return min(len(names), fitting)
