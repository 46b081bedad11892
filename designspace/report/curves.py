"""What figures show, without the drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from designspace.report.compare import Z
from designspace.report.entry import Entry, floor_in
from designspace.report.study import Study, comparable
from designspace.report.text import one_line


@dataclass(frozen=True)
class Curve:
    """One configuration: a metric against counted evaluations."""

    name: str
    nfe: list[float]
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

    @property
    def values(self) -> list[float]:
        """All values."""
        return [value for curve in self.curves for value in curve.values]

    @property
    def errors(self) -> list[float]:
        """The errors of all values."""
        return [error for curve in self.curves for error in curve.errors]

    @property
    def nfe(self) -> list[float]:
        """The evaluations used, each once."""
        return sorted({nfe for curve in self.curves for nfe in curve.nfe})


def panels(study: Study, metric: str) -> list[Panel]:
    """A panel for each group of points that may be compared."""
    groups = [[e for e in group if math.isfinite(e.value(metric))] for group in comparable(study.entries, metric)]
    several = len({group[0].trial("data", "name") for group in groups if group}) > 1
    return [_panel(group, metric, several) for group in groups if group]


def _panel(entries: Sequence[Entry], metric: str, several: bool) -> Panel:
    first = entries[0]
    about, data = first.about(metric), first.trial("data", "name")
    configs: dict[str, list[Entry]] = {}
    for entry in entries:
        configs.setdefault(entry.config, []).append(entry)
    bars = "bars: 95 % intervals" if any(e.se(metric) is not None for e in entries) else "no error bars"
    seeds = max(entry.expected for entry in entries)
    note = f"n = {first.images(metric):,} images" + (f" for {seeds} seeds" if seeds > 1 else "") + f", {bars}"
    note = f"{one_line(data)}, {note}" if data and several else note
    curves = [_curve(name, points, metric) for name, points in configs.items()]
    floor, drawn = (floor_in(first.rows[0], metric, which) for which in ("floor", "drawn"))
    return Panel(one_line(about["protocol"]), note, curves, floor, about.get("floor_n"), drawn)


def _curve(name: str, entries: Sequence[Entry], metric: str) -> Curve:
    ordered = sorted(entries, key=lambda entry: entry.nfe)
    errors = [Z * (entry.se(metric) or 0.0) for entry in ordered]
    return Curve(name, [e.nfe for e in ordered], [e.value(metric) for e in ordered], errors)
