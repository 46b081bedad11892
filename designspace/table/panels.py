"""Which curves stand in which figure, and on which axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from designspace.table.curves import Array, RowCurves
from designspace.table.draw import LINTHRESH, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMA = r"noise level $\sigma$"
ALIKE = 10
"""Ranges that differ by more are drawn as parts of themselves: the smaller would be a flat line."""


@dataclass(frozen=True)
class Panel:
    """A curve for each design, and the axes that they are drawn on."""

    label: str
    """Of the y axis."""
    curves: list[tuple[Array, Array]]
    """x and y, in the order of the designs."""
    x_label: str = SIGMA
    x_scale: Literal["log", "linear"] = "log"
    y_scale: Literal["log", "linear", "symlog"] = "linear"
    y_limits: tuple[float, float] | None = None
    points: bool = False
    """Whether each value is marked."""
    note: str = ""


def figures(curves: Sequence[RowCurves]) -> Iterator[tuple[str, Figure]]:
    """``schedule``, ``time_steps``, ``preconditioning`` and ``training``, drawn in the style that is set."""
    names = [curve.name for curve in curves]
    for name, columns, panels in sheets(curves):
        yield name, figure(names, panels, columns)


def sheets(curves: Sequence[RowCurves]) -> Iterator[tuple[str, int, list[Panel]]]:
    """Each figure's name, how many panels stand beside each other, and the panels."""
    yield "schedule", 1, _schedule(curves)
    yield "time_steps", 1, [_time_steps(curves)]
    yield "preconditioning", 2, _preconditioning(curves)
    yield "training", 1, _training(curves)


def _schedule(curves: Sequence[RowCurves]) -> list[Panel]:
    low, high = min(c.levels[-1] for c in curves), max(c.levels[0] for c in curves)
    sigma = Panel(
        r"schedule $\sigma(t)$",
        [(c.time, c.schedule) for c in curves],
        "",
        "linear",
        "log",
        (low / 1.5, high * 1.5),
    )
    s = Panel(
        r"scaling $s(t)$",
        [(c.time, c.scaling) for c in curves],
        r"$t\,/\,t_{\max}$, with $\sigma(t_{\max})$ = highest level",
        "linear",
    )
    return [sigma, s]


def _time_steps(curves: Sequence[RowCurves]) -> Panel:
    n = len(curves[0].levels)
    note = f"N = {n}, and last 0" + (", measured rules as they begin" if any(c.measured for c in curves) else "")
    xy = [(np.arange(n) / n, c.levels) for c in curves]
    return Panel(r"time steps $\sigma_i$", xy, "i / N", "linear", "log", points=True, note=note)


def _preconditioning(curves: Sequence[RowCurves]) -> list[Panel]:
    return [
        Panel(r"$c_\mathrm{skip}$", [(c.sigma, c.c_skip) for c in curves], ""),
        _c_out(curves),
        Panel(r"$c_\mathrm{in}$", [(c.sigma, c.c_in) for c in curves]),
        _c_noise(curves),
    ]


def _c_out(curves: Sequence[RowCurves]) -> Panel:
    """It may have either sign and be proportional to sigma."""
    xy = [(c.sigma, c.c_out) for c in curves]
    if max(abs(c.c_out).max() for c in curves) <= ALIKE:
        return Panel(r"$c_\mathrm{out}$", xy, "")
    return Panel(r"$c_\mathrm{out}$", xy, "", y_scale="symlog", note=f"linear within ±{LINTHRESH}")


def _c_noise(curves: Sequence[RowCurves]) -> Panel:
    """As it is, or each as a part of its range where the ranges are too different."""
    ends = [(np.nanmin(c.c_noise), np.nanmax(c.c_noise)) for c in curves]
    ranges = [high - low for low, high in ends]
    if max(ranges) <= ALIKE * min(ranges):
        return Panel(r"$c_\mathrm{noise}$", [(c.sigma, c.c_noise) for c in curves])
    parts = [(c.sigma, (c.c_noise - low) / ((high - low) or 1)) for c, (low, high) in zip(curves, ends, strict=True)]
    return Panel(r"$c_\mathrm{noise}$, part of its range", parts)


def _training(curves: Sequence[RowCurves]) -> list[Panel]:
    return [
        Panel(r"loss weight $\lambda$", [(c.sigma, c.loss_weight) for c in curves], "", y_scale="log"),
        Panel(r"density $p(\ln\sigma)$", [(c.sigma, c.density) for c in curves], ""),
        Panel(r"$\lambda\,c_\mathrm{out}^2\,p(\ln\sigma)$", [(c.sigma, c.effective_weight) for c in curves]),
    ]
