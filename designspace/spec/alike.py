"""Values of an axis that add the same noise to the samples, for instance because churn is limited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from designspace.design import Design
from designspace.errors import Kind, Problem
from designspace.sampling.counting import Cost
from designspace.spec.paths import STEPS, Setting
from designspace.spec.trial import Point, Trial
from designspace.text import joined, value_of

ROW = "stochasticity"


def adding_the_same_noise(
    points: Sequence[Point], cost: Callable[[Trial], Cost | None], settings: Sequence[Setting]
) -> Iterator[Problem]:
    """Yield a warning for each axis some of whose values give the same samples, and at which number of steps."""
    if len({id(point.trial.design.stochasticity) for point in points}) < 2:
        return
    place = next((s.key for s in reversed(settings) if s.path[:2] == ("design", ROW)), ("design", ROW))
    for axis in points[0].axes:
        where: dict[str, dict[str, None]] = {}
        for alike in _groups(points, axis, cost):
            names = joined([value_of(point.axes[axis]) for point in alike])
            where.setdefault(names, {})[_steps(alike[0])] = None
        if where:
            each = "; ".join(f"{names} with {joined(list(steps))}" for names, steps in where.items())
            yield Problem(f"has values that add the same noise, so that nothing differs: {each}", place, Kind.NO_EFFECT)


def _groups(points: Sequence[Point], axis: str, cost: Callable[[Trial], Cost | None]) -> list[list[Point]]:
    """Points that differ in the value of one axis, which changes only the stochasticity, and add the same noise."""
    found: dict[object, list[Point]] = {}
    for point in points:
        if (counted := cost(point.trial)) and counted.lifts is not None:
            rest = tuple(item for item in point.axes.items() if item[0] != axis)
            alike = found.setdefault((rest, point.trial.num_steps, counted.lifts), [])
            if not alike or _only_noise(alike[0].trial, point.trial):
                alike.append(point)
    return [alike for alike in found.values() if len(alike) > 1]


def _only_noise(a: Trial, b: Trial) -> bool:
    """Whether the stochasticity is all in which two trials differ, and they do."""
    rest = (row for row in Design.model_fields if row != ROW)
    same = all(getattr(a.design, row) == getattr(b.design, row) for row in rest)
    return same and a.design != b.design and a.model_copy(update={"design": b.design}) == b


def _steps(point: Point) -> str:
    budget = [f"{name} {value_of(point.axes[name])}" for name in STEPS[1:] if name in point.axes]
    return f"{point.trial.num_steps} steps{''.join(f' ({one})' for one in budget)}"
