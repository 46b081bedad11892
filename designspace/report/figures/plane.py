"""Figures for one-dimensional data, drawn in the plane of time and sample.

Time runs from the data on the left to the noise on the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.drawing.given import figure_of, given
from designspace.drawing.look import COLOURS, NOTE, WIDTH, plain
from designspace.drawing.panels import annotate
from designspace.report.entry import Entry
from designspace.report.study import Study
from designspace.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDED = ("t", "sigma", "s", "z", "density", "curves", "walks", "levels", "trajectory", "tangents")
CURVE: dict[str, Any] = {"color": "#333333", "linewidth": 0.6, "alpha": 0.75}
PATH: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.9}
SDE, ODE = r"$dz = \ldots\,dt + s\sqrt{2\dot\sigma\sigma}\,d\bar w$", "the ODE: no noise on the way"
HEIGHT = 2.3
"""The height in inches of a panel that has densities at its sides."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The recorded arrays of a design: densities, trajectories of the flow, and paths of its samples."""

    entry: Entry
    arrays: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    @property
    def name(self) -> str:
        """The names of schedule and scaling, as a title."""
        schedule, scaling = (self.entry.trial("design", row, "name") for row in ("schedule", "scaling"))
        return f"schedule {one_line(schedule)}, scaling {one_line(scaling)}"

    @property
    def solver(self) -> str:
        """The name of the solver."""
        return one_line(self.entry.trial("design", "solver", "name"))

    @property
    def noisy(self) -> bool:
        """Whether the solver adds noise during sampling."""
        return "steps" not in self.arrays

    @cached_property
    def steps(self) -> int:
        """The number of steps."""
        return len(self["levels"]) - 1

    def shares_the_plane_of(self, other: Plane) -> bool:
        """Whether both have the same schedule and scaling, and therefore the same trajectories."""
        return all(np.array_equal(self[name], other[name]) for name in ("t", "sigma", "s"))

    @property
    def evenness(self) -> float:
        """How uniformly the variance of the noise grows with time: 1 for sigma = sqrt(t), s = 1."""
        return float(np.corrcoef(self["t"], (self["s"] * self["sigma"]) ** 2)[0, 1])


def planes(study: Study) -> list[Plane]:
    """The planes of all points that have one, for the first seed of each."""
    found = [Plane(entry, study.plane(entry.rows[0])) for entry in study.entries]
    return [plane for plane in found if _is_whole(plane.arrays)]


def distinct(found: Sequence[Plane]) -> list[Plane]:
    """The first plane of each schedule and scaling."""
    kept: list[Plane] = []
    for plane in found:
        if not any(plane.shares_the_plane_of(other) for other in kept):
            kept.append(plane)
    return kept


def walks(study: Study) -> Figure | None:
    """Random walks from the data to the noise; ``None`` if the data are not one-dimensional."""
    if not (found := planes(study)):
        return None
    plane = _most_even(found)
    figure, axes = _beside_densities(plane, "the data become noise: random walks")
    _draw_paths(axes, plane["t"], plane["walks"])
    return figure


def backward(study: Study) -> Figure | None:
    """Sampling by the SDE and the ODE; ``None`` unless a stochastic and a deterministic solver share a plane."""
    if not (found := planes(study)):
        return None
    same = sorted((p for p in found if p.shares_the_plane_of(_most_even(found))), key=lambda plane: -plane.steps)
    noisy, smooth = (next((p for p in same if p.noisy is kind), None) for kind in (True, False))
    if noisy is None or smooth is None:
        return None
    figure, grid = _grid(2, 4.4, [1, 5])
    for row, (plane, title) in enumerate(((noisy, f"back by the SDE, {SDE}"), (smooth, f"back by {ODE}"))):
        left, axes = grid[2 * row : 2 * row + 2]
        _draw_density(axes, plane)
        _draw_paths(axes, plane["levels"], plane["trajectory"])
        _draw_margin(left, plane, 0)
        axes.set_yticklabels([])
        axes.set_xlabel("time t" if row else "")
        axes.set_title(f"{title}, {plane.steps} steps of {plain(plane.solver)}", loc="right", pad=3, **NOTE)
    return figure


def flow(study: Study) -> Figure | None:
    """The trajectories of the probability flow ODE; ``None`` if the data are not one-dimensional."""
    if not (found := planes(study)):
        return None
    plane = _most_even(found)
    figure, axes = _beside_densities(plane, "the curves of the flow: solutions of the ODE")
    axes.plot(plane["t"], plane["curves"], **CURVE)
    return figure


def _is_whole(arrays: dict[str, np.ndarray]) -> bool:
    if not set(NEEDED) <= arrays.keys():
        return False
    t, k, n = len(arrays["t"]), arrays["curves"].shape[-1], len(arrays["levels"])
    shapes = {"density": (len(arrays["z"]), t), "curves": (t, k), "trajectory": (n, k), "sigma": (t,), "s": (t,)}
    return all(arrays[name].shape == shape for name, shape in shapes.items()) and bool(
        all(np.isfinite(arrays[name]).all() for name in NEEDED)
    )


def _most_even(found: Sequence[Plane]) -> Plane:
    """The plane in which the noise grows most uniformly, so that the walks are easy to follow by eye."""
    return max(found, key=lambda plane: (plane.evenness, plane.steps))


def _draw_paths(axes: Axes, t: np.ndarray, paths: np.ndarray) -> None:
    for i, path in enumerate(paths.T):
        axes.plot(t, path, color=COLOURS[i % len(COLOURS)], **PATH)


def _grid(rows: int, height: float, widths: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """A figure with rows of axes of these relative widths, or the axes that the user gives."""
    from matplotlib.figure import Figure

    if own := given(rows * len(widths)):
        return figure_of(own), own
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths).flat)


def _beside_densities(plane: Plane, title: str) -> tuple[Figure, Axes]:
    """An empty figure of the plane, with the densities of data and noise at its sides, and the axes of the plane."""
    figure, (left, axes, right) = _grid(1, HEIGHT, [1, 6, 1])
    for other in (axes, right):
        other.tick_params(labelleft=False)
    annotate(axes, title)
    axes.set_xlabel("time t")
    _draw_density(axes, plane)
    _draw_margin(left, plane, 0)
    _draw_margin(right, plane, -1)
    return figure, axes


def _draw_density(axes: Axes, plane: Plane) -> None:
    """Draw the density at each time relative to its maximum, so that the noise is as visible as the data."""
    density = plane["density"] / plane["density"].max(0, keepdims=True)
    ends = (plane["t"][0], plane["t"][-1], plane["z"][0], plane["z"][-1])
    axes.imshow(density, extent=ends, origin="lower", aspect="auto", cmap="Blues", vmax=1.6, interpolation="bilinear")
    axes.grid(visible=False)
    axes.set(xlim=ends[:2], ylim=ends[2:])


def _draw_margin(axes: Axes, plane: Plane, column: int) -> None:
    """Draw the density at the first or the last time, rotated by 90 degrees."""
    density = plane["density"][:, column]
    axes.fill_betweenx(plane["z"], density, color=COLOURS[0], alpha=0.35, linewidth=0)
    axes.plot(density, plane["z"], color=COLOURS[0], linewidth=0.8)
    axes.set(ylim=(plane["z"][0], plane["z"][-1]), xticks=[])
    axes.grid(visible=False)
    axes.set_xlabel("data" if column == 0 else "noise", fontsize=7)
    if column == 0:
        axes.invert_xaxis()
        axes.set_ylabel("sample z")
