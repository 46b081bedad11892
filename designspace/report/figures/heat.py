"""Grids of two numbers: what is best where, as rho by N."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from designspace.report.entry import BUDGET, Entry
from designspace.report.evidence.differences import rank
from designspace.report.study import Study, comparable
from designspace.text import describe, one_line

LEAST, LARGEST = 3, 24
"""Values of each axis: of fewer, a table says as much; of more, no number can be read."""
MOST = 6
"""Panels; of more, the first, for the lowest values of the other axes."""


@dataclass(frozen=True, eq=False)
class HeatPanel:
    """A metric at every pair of values of two axes, all other axes equal."""

    title: str
    protocol: str
    x: str
    y: str
    columns: list[float]
    rows: list[float]
    values: np.ndarray
    """``[rows, columns]``, NaN where there is none."""
    best: np.ndarray
    """Whether it is the best of all or cannot be told from it."""


def heat_panels(study: Study, metric: str) -> list[HeatPanel]:
    """One for each setting of the other axes; none without two axes of several numbers each, or of a mere line."""
    found = [panel for group in comparable(study.entries, metric) for panel in _panels(study, group, metric)]
    return [panel for panel in found if np.isfinite(panel.values).sum() > max(panel.values.shape)][:MOST]


def _panels(study: Study, group: Sequence[Entry], metric: str) -> list[HeatPanel]:
    pair = _axes(study, group)
    if pair is None or group[0].higher_is_better(metric) is None:
        return []
    rest: dict[tuple[tuple[str, object], ...], list[Entry]] = {}
    for entry in group:
        rest.setdefault(tuple(item for item in entry.axes.items() if item[0] not in pair), []).append(entry)
    return [_panel(study, dict(axes), entries, metric, *pair) for axes, entries in rest.items()]


def _axes(study: Study, group: Sequence[Entry]) -> tuple[str, str] | None:
    """The two with the most values: the budget, else the one with more, across."""
    values = {axis: {e.axes[axis] for e in group if axis in e.axes} for axis in study.about["axes"]}
    numeric = [axis for axis, of in values.items() if LEAST <= len(of) <= LARGEST and all(map(_is_number, of))]
    if len(numeric) < 2:
        return None
    two = sorted(numeric, key=lambda axis: -len(values[axis]))[:2]
    x, y = sorted(two, key=lambda axis: axis not in BUDGET)
    return x, y


def _panel(study: Study, rest: dict[str, object], entries: Sequence[Entry], metric: str, x: str, y: str) -> HeatPanel:
    columns, rows = (sorted({float(e.axes[axis]) for e in entries}) for axis in (x, y))
    values, best = np.full((len(rows), len(columns)), np.nan), np.zeros((len(rows), len(columns)), bool)
    good = set(rank(study, entries, metric).best)
    for entry in entries:
        at = rows.index(float(entry.axes[y])), columns.index(float(entry.axes[x]))
        if math.isfinite(value := entry.value(metric)):
            values[at], best[at] = value, entry in good
    protocol = one_line(entries[0].about(metric)["protocol"])
    return HeatPanel(describe(rest) if rest else "", protocol, one_line(x), one_line(y), columns, rows, values, best)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
