"""The tutorial's pictures, drawn: time runs from the data on the left to the noise on the right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.report.figures.plane import Plane, Steps, distinct, one_step
from designspace.style import COLOURS, NOTE, WIDTH, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE: dict[str, Any] = {"color": "#333333", "linewidth": 0.6, "alpha": 0.75}
PATH: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.9}
SDE, ODE = r"$dz = \ldots\,dt + s\sqrt{2\dot\sigma\sigma}\,d\bar w$", "the ODE: no noise on the way"


def pictures(found: list[Plane]) -> Iterator[tuple[str, Figure]]:
    """``walks backward flow warps steps``, those that the points allow."""
    even = max(found, key=lambda plane: (plane.evenness, plane.steps))
    yield "walks", _walks(even)
    same = sorted((p for p in found if p.shares_the_plane_of(even)), key=lambda plane: -plane.steps)
    noisy, smooth = ([p for p in same if p.noisy is kind] for kind in (True, False))
    if noisy and smooth:
        yield "backward", _backward(noisy[0], smooth[0])
    yield "flow", _flow(even)
    if len(planes := distinct(found)) > 1:
        yield "warps", _warps(planes)
    if (steps := one_step(found)) is not None:
        yield "steps", _steps(steps)


def _walks(plane: Plane) -> Figure:
    figure, (left, axes, right) = _beside(2.3, "the data become noise: random walks")
    _density(axes, plane)
    for i, walk in enumerate(plane["walks"].T):
        axes.plot(plane["t"], walk, color=COLOURS[i % len(COLOURS)], **PATH)
    _margin(left, plane, 0)
    _margin(right, plane, -1)
    left.set_ylabel("sample z")
    return figure


def _backward(noisy: Plane, smooth: Plane) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    for row, (plane, title) in enumerate(((noisy, f"back by the SDE, {SDE}"), (smooth, f"back by {ODE}"))):
        left, axes = figure.add_subplot(2, 6, 6 * row + 1), figure.add_subplot(2, 6, (6 * row + 2, 6 * row + 6))
        _density(axes, plane)
        for i, path in enumerate(plane["trajectory"].T):
            axes.plot(plane["levels"], path, color=COLOURS[i % len(COLOURS)], **PATH)
        _margin(left, plane, 0)
        left.set_ylabel("sample z")
        axes.set_title(f"{title}, {plane.steps} steps of {plain(plane.solver)}", loc="right", pad=3, **NOTE)
        axes.set_yticklabels([])
        axes.set_xlabel("time t" if row else "")
    return figure


def _flow(plane: Plane) -> Figure:
    figure, (left, axes, right) = _beside(2.3, "the curves of the flow: solutions of the ODE")
    _density(axes, plane)
    axes.plot(plane["t"], plane["curves"], **CURVE)
    _margin(left, plane, 0)
    _margin(right, plane, -1)
    left.set_ylabel("sample z")
    return figure


def _warps(planes: list[Plane]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 1.9 * len(planes)), layout="constrained")
    for axes, plane in zip(figure.subplots(len(planes), squeeze=False)[:, 0], planes, strict=True):
        _density(axes, plane)
        axes.plot(plane["t"], plane["curves"][:, _some(plane)], **CURVE)
        _tangents(axes, plane)
        axes.set(ylabel="z = s(t) x", ylim=(plane["z"][0], plane["z"][-1]))
        axes.set_title(f"{plain(plane.name)}: tangents followed to t = 0", loc="right", pad=3, **NOTE)
    axes.set_xlabel("time t")
    return figure


def _tangents(axes: Axes, plane: Plane) -> None:
    """From points of high noise on some curves."""
    for i in sorted({0, len(plane["tangents"]) // 4}):
        t = plane["levels"][i]
        for k in _some(plane):
            z = np.interp(t, plane["t"], plane["curves"][:, k])
            ends = [z, z - t * plane["tangents"][i, k]]
            axes.plot([t, 0], ends, color=COLOURS[1], linewidth=0.8, linestyle=(0, (3, 1.5)))
            axes.plot([t], [z], ".", color=COLOURS[1], markersize=3)


def _some(plane: Plane) -> list[int]:
    count = plane["curves"].shape[1]
    return [round((count - 1) * share) for share in (0.04, 0.2, 0.38, 0.5, 0.62, 0.8, 0.96)]


def _steps(steps: Steps) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    axes, (t, z) = figure.subplots(), steps.start
    axes.plot(steps.t, steps.curve, color="#333333", linewidth=1.4, label="the flow's curve")
    axes.plot([t, steps.end], [z, steps.euler], color=COLOURS[1], marker="o", markevery=[1], label="Euler: the tangent")
    style: dict[str, Any] = {"color": COLOURS[2], "linestyle": (0, (2, 1.5)), "linewidth": 0.9}
    axes.plot([t, steps.end], [z, steps.second], **style, label="the slope at Euler's end, moved back")
    heun: dict[str, Any] = {"color": COLOURS[0], "marker": "s", "markevery": [1]}
    axes.plot([t, steps.end], [z, steps.heun], **heun, label="Heun: the mean of both")
    axes.plot([t], [z], "o", color="#333333", markersize=4)
    axes.set(xlabel="time t", ylabel="sample z")
    axes.legend(loc="best", fontsize=6.5)
    return figure


def _beside(height: float, title: str) -> tuple[Figure, tuple[Axes, Axes, Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    left, axes, right = figure.subplots(1, 3, sharey=True, width_ratios=[1, 6, 1])
    axes.set_title(title, loc="right", pad=3, **NOTE)
    axes.set_xlabel("time t")
    return figure, (left, axes, right)


def _density(axes: Axes, plane: Plane) -> None:
    """Each column by its own height, so that the noise is seen as well as the data."""
    density = plane["density"] / plane["density"].max(0, keepdims=True)
    ends = (plane["t"][0], plane["t"][-1], plane["z"][0], plane["z"][-1])
    axes.imshow(density, extent=ends, origin="lower", aspect="auto", cmap="Blues", vmax=1.6, interpolation="bilinear")
    axes.grid(visible=False)
    axes.set(xlim=ends[:2], ylim=ends[2:])


def _margin(axes: Axes, plane: Plane, column: int) -> None:
    """The density at the first or the last time, lying on its side."""
    density = plane["density"][:, column]
    axes.fill_betweenx(plane["z"], density, color=COLOURS[0], alpha=0.35, linewidth=0)
    axes.plot(density, plane["z"], color=COLOURS[0], linewidth=0.8)
    axes.set(ylim=(plane["z"][0], plane["z"][-1]), xticks=[])
    axes.grid(visible=False)
    axes.set_xlabel("data" if column == 0 else "noise", fontsize=7)
    if column == 0:
        axes.invert_xaxis()
