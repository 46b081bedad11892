"""Steps of solvers beside the trajectories of the flow, for one-dimensional data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from designspace.drawing.look import COLOURS, SMALL
from designspace.drawing.panels import annotate, stacked
from designspace.report.figures.plane import Plane, planes
from designspace.report.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK = "#333333"
DASHED = (0, (2, 1.5))


@dataclass(frozen=True)
class Steps:
    """One step of both methods from the same point of a trajectory."""

    t: np.ndarray
    curve: np.ndarray
    """The trajectory between the two times."""
    start: tuple[float, float]
    end: float
    """The time at which the step ends."""
    euler: float
    heun: float
    second: float
    """The end of a step along the second slope from the start."""


def steps(study: Study) -> Figure | None:
    """The slopes of both methods together with the trajectory; ``None`` unless both were used in the same plane."""
    shown = one_step(planes(study))
    if shown is None:
        return None
    figure, (axes,) = stacked(1, 2.4)
    (t, z), ends = shown.start, [shown.start[0], shown.end]
    axes.plot(shown.t, shown.curve, color=DARK, linewidth=1.4, label="the flow's curve")
    axes.plot(ends, [z, shown.euler], color=COLOURS[1], marker="o", markevery=[1], label="Euler: the tangent")
    label = "the slope at Euler's end, moved back"
    axes.plot(ends, [z, shown.second], color=COLOURS[2], linestyle=DASHED, linewidth=0.9, label=label)
    axes.plot(ends, [z, shown.heun], color=COLOURS[0], marker="s", markevery=[1], label="Heun: the mean of both")
    axes.plot([t], [z], "o", color=DARK, markersize=4)
    axes.set(xlabel="time t", ylabel="sample z")
    axes.legend(loc="best", fontsize=SMALL)
    return figure


def one_step(found: Sequence[Plane]) -> Steps | None:
    """The step with the largest error of Euler's method, for the fewest steps; ``None`` unless both were used."""
    eulers = [plane for plane in found if plane.solver == "euler"]
    for euler in sorted(eulers, key=lambda plane: plane.steps):
        for heun in (plane for plane in found if plane.solver == "heun"):
            if heun.shares_the_plane_of(euler) and np.array_equal(heun["levels"], euler["levels"]):
                return _furthest(euler, heun)
    return None


def _furthest(euler: Plane, heun: Plane) -> Steps:
    t, levels, curves = euler["t"], euler["levels"], euler["curves"]
    on_curve = np.stack([np.interp(levels, t, curve) for curve in curves.T], 1)
    last = len(levels) - 2  # without the step to zero, which is an Euler step in both methods
    gaps = np.abs(euler["steps"][:last] - on_curve[1 : last + 1]) / np.abs(np.diff(levels))[:last, None] ** 0.5
    i, k = np.unravel_index(int(gaps.argmax()), gaps.shape)
    a, b, z = float(levels[i]), float(levels[i + 1]), float(on_curve[i, k])
    first, averaged = float(euler["steps"][i, k]), float(heun["steps"][i, k])
    inside = np.linspace(b, a, 50)
    return Steps(inside, np.interp(inside, t, curves[:, k]), (a, z), b, first, averaged, 2 * averaged - first)


def paths(study: Study) -> Figure | None:
    """The path of a solver with few steps, leaving the flow's curve from its start; ``None`` unless data are 1-D.

    Curves of a one-dimensional flow do not cross, so that the curve from a start lies between its neighbours.
    """
    found = [plane for plane in planes(study) if not plane.noisy]
    if not found:
        return None
    plane = min(found, key=lambda plane: (plane.solver != "euler", plane.steps))
    t, levels, trajectory = plane["t"], plane["levels"], plane["trajectory"]
    starts = trajectory[0]
    shown = [int(np.abs(starts - aim).argmin()) for aim in np.quantile(starts, (0.1, 0.35, 0.65, 0.9))]
    figure, (axes,) = stacked(1, 2.4)
    for i in dict.fromkeys(shown):
        axes.plot(t, curve_from(plane, float(starts[i]), float(levels[0])), color=DARK, linewidth=1.0)
        axes.plot(levels, trajectory[:, i], color=COLOURS[1], marker="o", markersize=3, linewidth=1.0)
    axes.plot([], [], color=DARK, label="the flow's curve")
    axes.plot([], [], color=COLOURS[1], marker="o", label=f"{plane.solver}, {plane.steps} steps")
    axes.set(xlabel="time t", ylabel="sample z")
    axes.legend(loc="best", fontsize=SMALL)
    annotate(axes, plane.name)
    return figure


def curve_from(plane: Plane, start: float, at: float) -> np.ndarray:
    """The flow's curve through ``start`` at time ``at``, between the recorded curves, ``[t]``."""
    curves = plane["curves"]
    here = np.array([np.interp(at, plane["t"], curve) for curve in curves.T])
    order = np.argsort(here)
    place = np.interp(start, here[order], np.arange(len(order)))
    return np.array([np.interp(place, np.arange(len(order)), row[order]) for row in curves])
