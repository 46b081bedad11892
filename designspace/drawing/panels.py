"""Panels of curves: their data, their axes and their error bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from designspace.drawing.given import figure_of, given, is_given
from designspace.drawing.look import DARK, NOTE, TITLE, WIDTH, plain
from designspace.drawing.scales import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = Sequence[float] | NDArray[np.float64]
LEVEL: dict[str, Any] = {"color": DARK, "linewidth": 0.9, "linestyle": (0, (4, 2))}
"""The look of a value that others are compared with."""
SPREAD: dict[str, Any] = {"color": DARK, "linewidth": 0, "alpha": 0.13}
"""The look of its standard deviation."""
CROWDED = 4
"""In a panel with more curves than this, error bars are thin and there are no bands."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A named curve."""

    name: str
    x: Numbers
    y: Numbers
    intervals: Sequence[Interval] = ()
    """The ends of the 95 % interval of each ``y``, both ``y`` itself if it is unknown; empty if there are none."""
    style: dict[str, Any] = field(default_factory=dict)
    """The properties of its line."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Curves that are drawn in the same axes."""

    label: str
    """The label of the y axis."""
    curves: Sequence[Curve]
    x_label: str = ""
    note: str = ""
    """Text above the panel, on the right."""
    title: str = ""
    """Text above the panel, on the left, in bold: the values that its curves have in common."""


def stacked(
    rows: int,
    height: float,
    columns: int = 1,
    *,
    share_x: bool = False,
    width: float = WIDTH,
    ratios: Sequence[float] | None = None,
    panels: int | None = None,
) -> tuple[Figure, list[Axes]]:
    """An empty figure of ``height`` inches, and its grid of axes as a list, row by row, with ``ratios`` of heights.

    If the user gives axes (``drawing.given``), these and their figure. ``panels`` is the number of those in use, if it
    is not that of the grid.
    """
    from matplotlib.figure import Figure

    if own := given(panels or rows * columns):
        return figure_of(own), own
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharex=share_x, height_ratios=ratios).flat)


def draw_level(axes: Axes, value: float, sd: float, *, upright: bool = False) -> None:
    """Draw a value that others are compared with as a line, and its standard deviation as a band."""
    span, line = (axes.axvspan, axes.axvline) if upright else (axes.axhspan, axes.axhline)
    if sd:
        span(value - sd, value + sd, zorder=1.1, **SPREAD)
    line(value, zorder=1.2, **LEVEL)


def label_all(figure: Figure, grid: Sequence[Axes], *, x: str = "", y: str = "", note: str = "") -> None:
    """Label all panels at once, with a ``note`` above them; axes that the user gives have labels of their own each."""
    if is_given():
        for axes in grid:
            axes.set(**{name: text for name, text in (("xlabel", x), ("ylabel", y)) if text})
        if note:
            annotate(grid[-1], note)
        return
    if x:
        figure.supxlabel(x, fontsize=8)
    if y:
        figure.supylabel(y, fontsize=8)
    if note:
        figure.suptitle(plain(note), x=0.99, ha="right", **NOTE)


def annotate(axes: Axes, note: str, loc: Literal["left", "right"] = "right", *, strong: bool = False) -> None:
    """Write a note above the axes, or a title if it is ``strong``."""
    axes.set_title(plain(note), loc=loc, pad=3, **(TITLE if strong else NOTE))


def draw_intervals(axes: Axes, curve: Curve, colour: str, lowest: float | None, *, crowded: bool) -> None:
    """Draw the 95 % intervals of a curve as error bars and, unless the panel is crowded, as a band.

    On a logarithmic axis that begins at ``lowest``, intervals are cut off a decade below it.
    """
    ends = [(low if lowest is None else min(max(low, lowest / 10), y), y, high) for y, (low, high) in _pairs(curve)]
    if all(low == high for low, _, high in ends):
        return
    bars: dict[str, Any] = {"elinewidth": 0.7, "capsize": 1.2, "alpha": 0.65} if crowded else {"elinewidth": 0.9}
    lengths = [y - low for low, y, _ in ends], [high - y for _, y, high in ends]
    axes.errorbar(curve.x, curve.y, lengths, fmt="none", ecolor=colour, zorder=2, **bars)
    if not crowded:
        low, _, high = zip(*ends, strict=True)
        axes.fill_between(curve.x, low, high, color=colour, alpha=0.12, linewidth=0, zorder=1.4)


def _pairs(curve: Curve) -> Iterator[tuple[float, Interval]]:
    return zip(curve.y, curve.intervals, strict=True) if curve.intervals else iter(())
