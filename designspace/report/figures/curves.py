"""What figures show, without the drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from designspace.report.entry import BUDGET, Entry, floor_in
from designspace.report.evidence.inference import Z
from designspace.report.study import Study, comparable
from designspace.text import and_equal, config_name, one_line

NFE = "NFE (denoiser evaluations per image)"
SEVERAL = 4
"""Values of an axis that make a curve."""


@dataclass(frozen=True)
class Curve:
    """One configuration: a metric against counted evaluations, or against the values of an axis."""

    name: str
    x: list[float]
    values: list[float]
    errors: list[float]
    """Half of the 95 % interval; 0 where there is no standard error."""


@dataclass(frozen=True)
class Panel:
    """Curves that may be compared, and what they are."""

    protocol: str
    note: str
    curves: list[Curve]
    floor: float | None
    floor_n: int | None
    drawn: float | None = None
    """What as many images drawn from the reference score."""
    x_label: str = NFE
    higher: bool | None = False
    """Whether higher is better; ``None`` if neither is."""

    @property
    def values(self) -> list[float]:
        """All values."""
        return [value for curve in self.curves for value in curve.values]

    @property
    def errors(self) -> list[float]:
        """The errors of all values."""
        return [error for curve in self.curves for error in curve.errors]

    @property
    def x(self) -> list[float]:
        """The evaluations used, or the values of the axis, each once."""
        return sorted({x for curve in self.curves for x in curve.x})


def panels(study: Study, metric: str, axis: str | None = None) -> list[Panel]:
    """A panel for each group of points that may be compared: against NFE, or against the values of ``axis``."""
    groups = [[e for e in group if math.isfinite(e.value(metric))] for group in comparable(study.entries, metric)]
    several = len({group[0].reference for group in groups if group}) > 1
    return [_panel(group, metric, several, axis) for group in groups if group]


def numeric_axes(study: Study) -> list[str]:
    """Axes, other than of the cost, along which a curve can be drawn: several positive numbers."""
    values = {axis: {entry.axes[axis] for entry in study.entries} for axis in study.about.axes if axis not in BUDGET}
    return [axis for axis, of in values.items() if len(of) >= SEVERAL and all(map(_positive, of))]


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _panel(entries: Sequence[Entry], metric: str, several: bool, axis: str | None) -> Panel:
    first = entries[0]
    about, data = first.about(metric), first.reference
    configs: dict[str, list[Entry]] = {}
    for entry in entries:
        configs.setdefault(curve_name(entry, axis), []).append(entry)
    bars = "bars: 95 % intervals" if any(e.se(metric) is not None for e in entries) else "no error bars"
    seeds = max(entry.expected for entry in entries)
    note = f"n = {first.images(metric):,} images" + (f" for {seeds} seeds" if seeds > 1 else "") + f", {bars}"
    note = f"{one_line(data)}, {note}" if data and several else note
    curves = [_curve(name, points, metric, axis) for name, points in each_once(configs).items()]
    floor, drawn = (floor_in(first.rows[0], metric, which) for which in ("floor", "drawn"))
    label = NFE if axis is None else one_line(axis)
    higher = first.higher_is_better(metric)
    return Panel(one_line(about.protocol), note, curves, floor, about.floor_n, drawn, label, higher)


def curve_name(entry: Entry, axis: str | None) -> str:
    """What the curve through the point is called, against NFE or an axis."""
    return entry.config if axis is None else config_name({k: v for k, v in entry.axes.items() if k != axis})


def each_once(configs: dict[str, list[Entry]]) -> dict[str, list[Entry]]:
    """Configurations that are the same trials under several names, as where a change makes them equal, as one."""
    same: dict[tuple[str, ...], list[str]] = {}
    for name, entries in configs.items():
        same.setdefault(tuple(row.id for entry in entries for row in entry.rows), []).append(name)
    return {and_equal(names): configs[names[0]] for names in same.values()}


def _curve(name: str, entries: Sequence[Entry], metric: str, axis: str | None) -> Curve:
    def x(entry: Entry) -> float:
        return entry.nfe if axis is None else float(entry.axes[axis])

    ordered = sorted(entries, key=x)
    errors = [Z * (entry.se(metric) or 0.0) for entry in ordered]
    return Curve(name, [x(e) for e in ordered], [e.value(metric) for e in ordered], errors)
