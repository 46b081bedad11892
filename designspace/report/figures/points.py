"""Samples of two numbers as points of the plane, over the regions of the data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.drawing.look import COLOURS, DARK, SMALL, plain, wrapped
from designspace.drawing.panels import stacked
from designspace.report.entry import Entry
from designspace.report.study import Study
from designspace.text import value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, MOST = 3, 12
"""The panels of a row, and the largest number of panels."""
SIDE, TITLE = 1.7, 0.19
"""The side of a panel and the height of the title above it, in inches."""
MASS = 0.97
"""The share of the data that the drawn region of each class contains."""
BLUR = 1.5
"""The standard deviation by which data points are spread before their region is drawn, in pixel values."""
POINT: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 0.75, "markeredgewidth": 0, "rasterized": True}
DATA = "data"


@dataclass(frozen=True, eq=False)
class Points:
    """Points of the plane with their classes."""

    xy: np.ndarray
    """Pixel values, ``[n, 2]``."""
    labels: np.ndarray
    """The class of each point, 0 for all without classes."""

    def first(self, count: int) -> Points:
        """The first points."""
        return Points(self.xy[:count], self.labels[:count])

    def of_classes(self) -> Iterator[tuple[int, np.ndarray]]:
        """The points of each class."""
        for label in np.unique(self.labels):
            yield int(label), self.xy[self.labels == label]


@dataclass(frozen=True, eq=False)
class Sampled:
    """The samples of a point of the grid, and data to compare them with."""

    entry: Entry
    samples: Points
    data: Points


def sampled(study: Study) -> list[Sampled]:
    """The samples of all points whose samples are two numbers, for the first seed of each."""
    found = ((entry, study.points_of(entry.rows[0])) for entry in study.entries)
    return [Sampled(entry, *both) for entry, kept in found if (both := _read(kept))]


def points(study: Study) -> Figure | None:
    """The samples of each configuration in the plane, after the data; ``None`` unless samples are two numbers.

    Shaded regions contain 97 % of the data of each class.
    """
    found = sampled(study)[: MOST - 1]
    if not found:
        return None
    most = max(len(s.samples.xy) for s in found)
    panels = [
        (DATA, found[0].data.first(most), found[0].data),
        *((_title(study, s.entry), s.samples, s.data) for s in found),
    ]
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, grid = stacked(rows, rows * (SIDE + TITLE), columns, width=columns * SIDE, panels=len(panels))
    limits = _limits([shown for _, shown, _ in panels])
    for axes, (title, shown, data) in zip(grid, panels, strict=False):
        _draw_regions(axes, data)
        _draw_points(axes, shown)
        axes.set(xlim=limits, ylim=limits, xticks=[], yticks=[], aspect="equal")
        axes.set_title(plain(wrapped(title, 30)), fontsize=SMALL + 1, color=DARK, pad=2)
        axes.spines[:].set_visible(False)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def _read(kept: dict[str, np.ndarray]) -> tuple[Points, Points] | None:
    pairs = [(kept.get(name), kept.get(f"{name}_labels")) for name in ("samples", "data")]
    read = [_points(xy, labels) for xy, labels in pairs]
    return (read[0], read[1]) if read[0] is not None and read[1] is not None else None


def _points(xy: np.ndarray | None, labels: np.ndarray | None) -> Points | None:
    if xy is None or xy.dtype != np.uint8 or xy.ndim != 2 or xy.shape[1] != 2 or not len(xy):
        return None
    if labels is None or labels.shape != (len(xy),):
        labels = np.zeros(len(xy), int)
    return Points(xy, labels)


def _title(study: Study, entry: Entry) -> str:
    axis = study.column_axis
    return entry.config if axis is None else f"{entry.config}, {axis} {value_of(study.budget(entry))}"


def _limits(shown: list[Points]) -> tuple[float, float]:
    """The same limits for both axes of all panels."""
    low, high = min(p.xy.min() for p in shown), max(p.xy.max() for p in shown)
    return float(low) - 4, float(high) + 5


def _draw_points(axes: Axes, shown: Points) -> None:
    """Draw the points, each at a random place within its pixel value, since they were rounded to it."""
    random = np.random.default_rng(0)
    for label, xy in shown.of_classes():
        places = xy + random.random(xy.shape)
        axes.plot(places[:, 0], places[:, 1], color=COLOURS[label % len(COLOURS)], **POINT)
    axes.grid(visible=False)


def _draw_regions(axes: Axes, data: Points) -> None:
    centres = np.arange(256) + 0.5
    for label, xy in data.of_classes():
        density = _density(xy)
        level = _level(density)
        colour = COLOURS[label % len(COLOURS)]
        region = axes.contourf(centres, centres, density, [level, np.inf], colors=[colour], alpha=0.22)
        region.set_rasterized(True)


def _density(xy: np.ndarray) -> np.ndarray:
    """The share of points at each pair of pixel values ``[y, x]``, spread by ``BLUR``."""
    counts = np.zeros((256, 256))
    np.add.at(counts, (xy[:, 1], xy[:, 0]), 1 / len(xy))
    reach = np.arange(-math.ceil(4 * BLUR), math.ceil(4 * BLUR) + 1)
    kernel = np.exp(-(reach**2) / (2 * BLUR**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, "same")
    return counts


def _level(density: np.ndarray) -> float:
    """The level above which the density has the share ``MASS`` of its mass."""
    ordered = np.sort(density, axis=None)[::-1]
    return float(ordered[np.searchsorted(ordered.cumsum(), MASS * ordered.sum())])
