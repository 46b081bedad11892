"""Schedules and scalings as warps of the plane of time and sample, and what lies between them, for 1-D data.

A schedule moves each noise level along the axis of time, and a scaling stretches the samples. Neither changes which
points a trajectory joins: as a function of ln sigma, x = z / s is the same for all. All panels have common axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.drawing.look import COLOURS, SMALL, WIDTH
from designspace.drawing.panels import annotate, label_all, stacked
from designspace.report.figures.plane import CURVE, Plane, distinct, planes
from designspace.report.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TANGENT: dict[str, Any] = {"color": COLOURS[1], "linewidth": 0.8, "linestyle": (0, (3, 1.5))}
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The shares of the second schedule in the panels between two schedules."""
SHOWN = (0.04, 0.2, 0.38, 0.5, 0.62, 0.8, 0.96)
"""Which trajectories are drawn with tangents, as shares of all of them."""
TIMES, HEIGHTS = 240, 160
"""The number of times and, for the density, of values of z in a panel."""
TIME, SAMPLE = "time t / its largest value", "z = s(t) x"


@dataclass(frozen=True, eq=False)
class Warp:
    """A schedule and a scaling at equal shares ``u`` of the largest time, and what they do to a flow."""

    name: str
    u: np.ndarray
    sigma: np.ndarray
    s: np.ndarray
    flow: Plane
    """The plane whose recorded trajectories and densities are warped."""

    @property
    def curves(self) -> np.ndarray:
        """All trajectories, ``[u, k]``."""
        return np.stack([self.s * np.interp(np.log(self.sigma), *x) for x in unscaled(self.flow)], 1)

    def at(self, level: float) -> float:
        """The share of time at a noise level."""
        return float(np.interp(np.log(level), np.log(self.sigma), self.u))

    def density(self, z: np.ndarray) -> np.ndarray:
        """The density of z at each time, relative to its maximum, ``[z, u]``."""
        recorded, known = self.flow, self.flow["sigma"] > 0
        columns = np.interp(np.log(self.sigma), np.log(recorded["sigma"][known]), np.flatnonzero(known))
        found = []
        for column, s in zip(columns, self.s, strict=True):
            i = min(int(column), len(known) - 2)
            of = (1 - column + i) * recorded["density"][:, i] + (column - i) * recorded["density"][:, i + 1]
            own = np.interp(column, np.arange(len(known)), recorded["s"])
            found.append(np.interp(z / s * own, recorded["z"], of, left=0.0, right=0.0))
        density = np.stack(found, 1)
        return np.asarray(density / density.max(0, keepdims=True))


def warps(study: Study) -> Figure | None:
    """How schedules and scalings bend the trajectories, with a panel halfway between each two of the study.

    Dashed lines are tangents at two noise levels, extended to t = 0, where they meet the denoiser's output if sigma = t
    and s = 1. ``None`` unless the study has several schedules or scalings.
    """
    if len(found := distinct(planes(study))) < 2:
        return None
    panels = [_warp(found[0], found[0], found[0], 0.0)]
    for a, b in pairwise(found):
        panels += [_warp(found[0], a, b, share) for share in (0.5, 1.0)]
    shown = [round((found[0]["curves"].shape[1] - 1) * share) for share in SHOWN]
    top = 1.15 * max(abs(panel.curves[:, shown]).max() for panel in panels)
    levels = [float(np.interp(found[0]["levels"][i], found[0]["t"], found[0]["sigma"])) for i in _begin(found[0])]
    figure, grid = stacked(len(panels), 1.3 * len(panels) + 0.4, share_x=True)
    for axes, panel in zip(grid, panels, strict=True):
        image = panel.density(np.linspace(-top, top, HEIGHTS))
        look: dict[str, Any] = {
            "origin": "lower",
            "aspect": "auto",
            "cmap": "Blues",
            "vmax": 1.6,
            "interpolation": "bilinear",
        }
        axes.imshow(image, extent=(0, 1, -top, top), **look)
        axes.grid(visible=False)
        axes.plot(panel.u, panel.curves[:, shown], **CURVE)
        _draw_tangents(axes, panel, shown, levels)
        axes.set(xlim=(0, 1), ylim=(-top, top))
        annotate(axes, panel.name)
    label_all(figure, grid, x=TIME, y=SAMPLE)
    return figure


def between(study: Study) -> Figure | None:
    """The same trajectories under schedules between two of the study; ``None`` unless it has two planes."""
    if len(different := distinct(planes(study))) < 2:
        return None
    first, second = different[:2]
    figure, grid = stacked(1, 1.7, len(SHARES), width=2 * WIDTH)
    panels = [_warp(first, first, second, share) for share in SHARES]
    top = 1.05 * max(abs(panel.curves).max() for panel in panels)
    for axes, panel, share in zip(grid, panels, SHARES, strict=True):
        axes.plot(panel.u, panel.curves, color="#333333", linewidth=0.6)
        axes.set(xticks=[0, 1], xlim=(0, 1), ylim=(-top, top))
        title = {0.0: first.name, 1.0: second.name}.get(share, f"{share:g}")
        axes.set_title(title.replace(", ", "\n"), fontsize=SMALL)
    for axes in grid[1:]:
        axes.tick_params(labelleft=False)
    grid[0].set_ylabel(SAMPLE)
    label_all(figure, grid, x=TIME)
    return figure


def unscaled(plane: Plane) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ln sigma and x = z / s along each of the recorded curves."""
    known = plane["sigma"] > 0
    level = np.log(plane["sigma"][known])
    return [(level, curve[known] / plane["s"][known]) for curve in plane["curves"].T]


def _warp(flow: Plane, a: Plane, b: Plane, share: float) -> Warp:
    """The warp between two planes: ln sigma and ln s are interpolated at equal shares of the time."""
    u = np.linspace(0, 1, TIMES + 1)[1:]
    ends = zip(*_on_shares((a, b), u), strict=True)
    sigma, s = (np.exp((1 - share) * np.log(p) + share * np.log(q)) for p, q in ends)
    name = {0.0: a.name, 1.0: b.name}.get(share, "halfway between those above and below")
    return Warp(name, u, sigma, s, flow)


def _on_shares(found: Sequence[Plane], u: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sigma and s of each plane at shares of its largest time."""
    for plane in found:
        t, known = plane["t"], plane["sigma"] > 0
        at = np.clip(u * t[-1], t[known][0], None)
        sigma, s = (np.exp(np.interp(at, t[known], np.log(plane[name][known]))) for name in ("sigma", "s"))
        yield sigma, s


def _begin(plane: Plane) -> list[int]:
    """The indices of the levels at which tangents are drawn: the highest and another one of high noise."""
    return sorted({0, (len(plane["levels"]) - 1) // 4})


def _draw_tangents(axes: Axes, panel: Warp, shown: Sequence[int], levels: Sequence[float]) -> None:
    for level in levels:
        u = panel.at(level)
        for k in shown:
            curve = panel.curves[:, k]
            z, slope = (float(np.interp(u, panel.u, of)) for of in (curve, np.gradient(curve, panel.u)))
            axes.plot([u, 0], [z, z - u * slope], **TANGENT)
            axes.plot([u], [z], ".", color=TANGENT["color"], markersize=3)
