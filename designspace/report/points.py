"""Arranging the points of a grid by the values of their axes: selections, pairs, and lines along one axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from designspace.report.entry import Entry, value_in


def select(points: Iterable[Entry], axes: Mapping[str, Any]) -> list[Entry]:
    """The points that have the values of ``axes``."""
    return [point for point in points if axes.items() <= point.axes.items()]


def pairs(first: Iterable[Entry], second: Iterable[Entry], equal: Sequence[str]) -> list[tuple[Entry, Entry]]:
    """All pairs of a point of ``first`` and a point of ``second`` that agree on the axes ``equal``."""
    partners: dict[tuple[Any, ...], list[Entry]] = {}
    for point in second:
        partners.setdefault(on_axes(point, equal), []).append(point)
    return [(a, b) for a in first for b in partners.get(on_axes(a, equal), [])]


def lines(points: Iterable[Entry], along: str) -> list[list[Entry]]:
    """Lines of points that differ only in the axis ``along``, in ascending order or, for names, in grid order."""
    found: dict[tuple[Any, ...], list[Entry]] = {}
    for point in points:
        rest = tuple((axis, value) for axis, value in point.axes.items() if axis != along)
        found.setdefault(rest, []).append(point)
    return [_ordered(line, along) for line in found.values()]


def values_of(point: Entry, metric: str) -> frozenset[tuple[int, str]]:
    """The values for all seeds, which tell whether two trials generated the same images or have the same network.

    Their ids do not, because they also depend on the other metrics that were measured. Eight digits agree on all
    machines.
    """
    return frozenset((seed, f"{value_in(row, metric):.8g}") for seed, row in point.seeds.items())


def on_axes(point: Entry, axes: Iterable[str]) -> tuple[Any, ...]:
    """The values of a point on ``axes``; ``None`` for an axis that it does not have."""
    return tuple(point.axes.get(axis) for axis in axes)


def _ordered(line: list[Entry], along: str) -> list[Entry]:
    values = [point.axes[along] for point in line]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return sorted(line, key=lambda point: float(point.axes[along])) if numbers else line
