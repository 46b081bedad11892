"""Heat maps: a metric for every pair of values of two axes, such as rho and the number of steps.

The colours span at least two standard errors, so that noise looks even, and cells that do not differ significantly from
the best one are hatched: lightly if only the correction for all comparisons keeps them among the best.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.drawing.look import plain, wrapped
from designspace.drawing.panels import annotate, label_all, stacked
from designspace.report.entry import BUDGET, WORDS, Entry
from designspace.report.evidence.differences import rank
from designspace.report.figures.dots import doubtful
from designspace.report.figures.metric import quantity
from designspace.report.study import Study, rivals
from designspace.text import describe, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST, MOST = 3, 24
"""Limits on the number of values per axis. With fewer, a table is as good; with more, the numbers become illegible."""
PANELS = 6
"""The largest number of panels; if the other axes have more combinations, only the first ones are drawn."""
NARROW = 4
"""Two panels are drawn side by side if they have at most this many columns."""
SHADES = "cividis"
"""A colour map for colour-blind readers and greyscale prints."""


@dataclass(frozen=True, eq=False)
class HeatPanel:
    """A metric for every pair of values of two axes, at fixed values of all other axes."""

    title: str
    protocol: str
    x: str
    y: str
    columns: list[float]
    rows: list[float]
    values: np.ndarray
    """``[rows, columns]``, NaN where nothing was measured."""
    best: tuple[int, int] | None
    """The row and the column of the best value; ``None`` if there is none."""
    tied: np.ndarray
    """Whether the value does not differ significantly from the best one, ``[rows, columns]``."""
    doubtful: np.ndarray
    """Whether it would differ if only the two were compared, ``[rows, columns]``."""
    se: float
    """The median standard error of the values; 0 if it is unknown."""

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest value of the colour scale, which spans at least two standard errors."""
        low, high = float(np.nanmin(self.values)), float(np.nanmax(self.values))
        lack = max(2 * self.se - (high - low), 0.0) / 2
        return low - lack, high + lack

    def same(self, other: HeatPanel) -> bool:
        """Whether both show the same values."""
        alike = (self.x, self.y, self.columns, self.rows) == (other.x, other.y, other.columns, other.rows)
        return alike and np.array_equal(self.values, other.values, equal_nan=True)


def heat_map(study: Study, metric: str) -> Figure | None:
    """The metric as colours and numbers; the best is framed, and those that do not differ significantly are hatched.

    ``None`` if there are no two axes with several numeric values each.
    """
    panels = heat_panels(study, metric)
    if not panels:
        return None
    across = 1 if max(len(panel.columns) for panel in panels) > NARROW else min(2, len(panels))
    down, rows = math.ceil(len(panels) / across), max(len(panel.rows) for panel in panels)
    tied, alone = any(panel.tied.any() for panel in panels), any(panel.doubtful.any() for panel in panels)
    height = down * (0.75 + 0.21 * rows) + 0.15 + 0.1 * alone
    figure, grid = stacked(down, height, across, panels=len(panels))
    for axes, panel in zip(grid, panels, strict=False):
        _draw(axes, panel)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    words = "framed: the best" + "; hatched: not significantly worse" * tied
    label_all(figure, grid, note=words + "\nhatched lightly: worse if compared alone" * alone)
    return figure


def heat_panels(study: Study, metric: str) -> list[HeatPanel]:
    """One panel for each combination of the other axes; none if the values of the two axes only change together."""
    found = [panel for group in rivals(study.entries, metric) for panel in _panels(study, group, metric)]
    return [panel for panel in found if np.isfinite(panel.values).sum() > max(panel.values.shape)][:PANELS]


def _panels(study: Study, group: Sequence[Entry], metric: str) -> list[HeatPanel]:
    pair = _axes(study, group)
    if pair is None or group[0].higher_is_better(metric) is None:
        return []
    rest: dict[tuple[tuple[str, object], ...], list[Entry]] = {}
    for entry in group:
        rest.setdefault(tuple(item for item in entry.axes.items() if item[0] not in pair), []).append(entry)
    budgets: dict[str, list[HeatPanel]] = {}
    for axes, entries in rest.items():
        other = describe(kept) if (kept := {axis: value for axis, value in axes if axis not in BUDGET}) else ""
        budgets.setdefault(other, []).append(_panel(study, dict(axes), entries, metric, *pair))
    return [panel for title, panels in budgets.items() for panel in _once(title, panels)]


def _once(title: str, panels: list[HeatPanel]) -> list[HeatPanel]:
    """A single panel if those of all budgets are equal, as for properties of a network."""
    equal = len(panels) > 1 and all(panel.same(panels[0]) for panel in panels)
    return [replace(panels[0], title=title)] if equal else panels


def _axes(study: Study, group: Sequence[Entry]) -> tuple[str, str] | None:
    """The two numeric axes with the most values, as x and y; x is the budget or else the one with more values."""
    values = {axis: {e.axes[axis] for e in group if axis in e.axes} for axis in study.about.axes}
    numeric = [axis for axis, of in values.items() if LEAST <= len(of) <= MOST and all(map(_is_number, of))]
    if len(numeric) < 2:
        return None
    two = sorted(numeric, key=lambda axis: -len(values[axis]))[:2]
    x, y = sorted(two, key=lambda axis: axis not in BUDGET)
    return x, y


def _panel(study: Study, rest: dict[str, object], entries: Sequence[Entry], metric: str, x: str, y: str) -> HeatPanel:
    columns, rows = (sorted({float(e.axes[axis]) for e in entries}) for axis in (x, y))
    values = np.full((len(rows), len(columns)), np.nan)
    tied, alone = np.zeros(values.shape, bool), np.zeros(values.shape, bool)
    ranking = rank(study, entries, metric)
    good, only = ranking.best, doubtful(ranking)
    place = {e: (rows.index(float(e.axes[y])), columns.index(float(e.axes[x]))) for e in entries}
    for entry, at in place.items():
        if math.isfinite(value := entry.value(metric)):
            values[at], tied[at], alone[at] = value, entry in good[1:], entry in only
    errors = [se for entry in entries if (se := entry.se(metric)) is not None]
    protocol = quantity(entries[0], metric)
    title, names = describe(rest) if rest else "", [_label(entries, axis) for axis in (x, y)]
    best, se = place[good[0]] if good else None, statistics.median(errors) if errors else 0.0
    return HeatPanel(title, protocol, names[0], names[1], columns, rows, values, best, tied, alone, se)


def _label(entries: Sequence[Entry], axis: str) -> str:
    """The name of an axis; a budget of evaluations that is not always spent is called so."""
    unspent = axis in ("nfe", "nfe_total") and any(entry.unspent for entry in entries)
    return f"{one_line(WORDS.get(axis, axis))}{' (budget)' if unspent else ''}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _draw(axes: Axes, panel: HeatPanel) -> None:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.patches import Rectangle

    low, high = panel.span
    norm: Normalize = LogNorm(low, high) if 0 < low < high else Normalize(low, high)
    axes.imshow(panel.values, cmap=SHADES, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(panel.values):
        if math.isfinite(value):
            dark = norm(value) <= 0.6
            weight, colour = "bold" if (row, column) == panel.best else "normal", "white" if dark else "black"
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6}
            if panel.tied[row, column]:
                place["bbox"] = {"facecolor": _shade(norm(value)), "edgecolor": "none", "pad": 0.6}
                edge = (1, 1, 1, 0.45) if dark else (0, 0, 0, 0.35)
                hatch = "//" if panel.doubtful[row, column] else "/////"
                cell = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch=hatch, edgecolor=edge, linewidth=0)
                axes.add_patch(cell)
            axes.text(column, row, _number(value), color=colour, weight=weight, **place)
    if panel.best:
        row, column = panel.best
        axes.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, edgecolor="white", linewidth=1.2))
    axes.set_xticks(range(len(panel.columns)), [f"{v:g}" for v in panel.columns])
    axes.set_yticks(range(len(panel.rows)), [f"{v:g}" for v in panel.rows])
    axes.grid(visible=False)
    axes.set(xlabel=_field(panel.x), ylabel=_field(panel.y))
    width = 60 if len(panel.columns) > NARROW else 26
    annotate(axes, "\n".join(wrapped(text, width) for text in (panel.title, panel.protocol) if text), "left")


def _shade(share: float) -> Any:
    from matplotlib import colormaps

    return colormaps[SHADES](share)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _field(axis: str) -> str:
    """The name of the field without the name of its row."""
    return plain(axis.rpartition(".")[2])
