"""What the best costs: the points that no other one beats in both the metric and its cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report.entry import Entry
from designspace.report.figures.curves import NFE, each_once
from designspace.report.study import Study, comparable
from designspace.text import one_line

MANY = 4
"""Points; of fewer, a front says nothing."""


@dataclass(frozen=True)
class CostPoint:
    """A configuration at one cost."""

    name: str
    cost: float
    value: float
    se: float | None
    on_front: bool


@dataclass(frozen=True)
class CostPanel:
    """All comparable points against one kind of cost, the cheapest first."""

    protocol: str
    cost: str
    note: str
    points: list[CostPoint]


def cost_panels(study: Study, metric: str) -> list[CostPanel]:
    """Against evaluations, and against seconds where one kind of machine measured all; for metrics to be lowered."""
    found = []
    for group in comparable(study.entries, metric):
        entries = [e for e in group if math.isfinite(e.value(metric)) and e.value(metric) > 0]
        if len(entries) < MANY or group[0].higher_is_better(metric) is not False:
            continue
        protocol, note = one_line(group[0].about(metric).protocol), f"n = {group[0].images(metric):,} images"
        found.append(CostPanel(protocol, NFE, note, _points(entries, metric, lambda entry: entry.nfe)))
        if (where := _machine(entries)) and all(_seconds(entry) for entry in entries):
            found.append(
                CostPanel(protocol, "seconds of sampling per image", where, _points(entries, metric, _seconds))
            )
    return [panel for panel in found if len({point.cost for point in panel.points}) > 1]


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Of (cost, value), both to be lowered: whether no other point is as good in both and better in one."""
    return [not any(c <= cost and v <= value and (c < cost or v < value) for c, v in points) for cost, value in points]


def _points(entries: Sequence[Entry], metric: str, cost: Callable[[Entry], float]) -> list[CostPoint]:
    configs: dict[str, list[Entry]] = {}
    for entry in entries:
        configs.setdefault(entry.config, []).append(entry)
    named = [(name, entry) for name, of in each_once(configs).items() for entry in of]
    best = front([(cost(e), e.value(metric)) for _, e in named])
    found = [
        CostPoint(name, cost(e), e.value(metric), e.se(metric), on) for (name, e), on in zip(named, best, strict=True)
    ]
    return sorted(found, key=lambda point: (point.cost, point.value))


def _seconds(entry: Entry) -> float:
    """Of sampling an image, the mean over the seeds; 0 if it is not known."""
    spent = [row.seconds.get("sampling") for row in entry.rows if row.seconds]
    known = [s for s in spent if isinstance(s, int | float) and s > 0]
    images = sum(int(row.images) for row in entry.rows)
    return sum(known) / images if len(known) == len(entry.rows) and images else 0.0


def _machine(entries: Sequence[Entry]) -> str:
    """Device and threads, if they are those of all."""
    found = {_made_on(row.provenance) for entry in entries for row in entry.rows}
    return found.pop() if len(found) == 1 else ""


def _made_on(provenance: dict[str, Any] | None) -> str:
    about = provenance if isinstance(provenance, dict) else {}
    count = about.get("threads") if "cpu" in str(about.get("device")) else None
    threads = f", {count} thread{'s' if count != 1 else ''}" if isinstance(count, int) else ""
    return f"{one_line(about['device'])}{threads}" if about.get("device") else ""
