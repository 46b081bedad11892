"""What an ablation varies: ``grid``, ``zip``, ``one_at_a_time``, ``cumulative``, and their product."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from designspace.spec.axes import Change, Choice, read_axes
from designspace.spec.errors import BadValueError, dotted
from designspace.spec.paths import PARTS, STEPS, Setting, axis_name

Axes = Mapping[str, Sequence[Choice]]


def axes_of(parts: Mapping[str, Any]) -> list[str]:
    """The names of the axes, slowest first."""
    fixed = {"cumulative": ["stage"], "one_at_a_time": ["variant"]}
    named = (fixed.get(part) or map(axis_name, parts[part]) for part in PARTS if parts.get(part))
    return list(itertools.chain.from_iterable(named))


def choices(parts: Mapping[str, Any], errors: list[BadValueError]) -> list[Choice]:
    """The points of the product of ``parts``, the last axis fastest.

    What is wrong is added to ``errors``; the points of the rest are given all the same, to be checked as well.
    """
    read = {part: read_axes(part, parts.get(part) or {}, errors) for part in PARTS[1:]}
    stages = _stages(parts.get("cumulative") or (), errors)
    _refuse_unequal(read["zip"], errors)
    _refuse_conflicts({"cumulative": {"stage": stages}} | read, errors)
    zipped = [sum(values, Choice()) for values in zip(*read["zip"].values(), strict=False)]
    several = [stages, _variants(read["one_at_a_time"]), zipped, *read["grid"].values()]
    return [sum(point, Choice()) for point in itertools.product(*filter(None, several))]


def _variants(axes: Axes) -> list[Choice]:
    """The baseline, and each single change."""
    changed = [
        Choice({"variant": f"{axis}={label}"}, choice.settings)
        for values in axes.values()
        for choice in values
        for axis, label in choice.labels.items()
    ]
    return [Choice({"variant": "baseline"}), *changed] if axes else []


def _stages(changes: Sequence[Change], errors: list[BadValueError]) -> list[Choice]:
    """The baseline, and each change on top of those before it."""
    named = bool(changes) and not changes[0].set
    stages = [] if named or not changes else [Choice({"stage": "baseline"})]
    settings: list[Setting] = []
    for i, change in enumerate(changes):
        try:
            new = change.settings(("cumulative", i))
        except BadValueError as error:
            errors.append(error)
            continue
        settings = [old for old in settings if not any(later.replaces(old) for later in new)] + new
        if any(stage.labels["stage"] == change.name() for stage in stages):
            errors.append(BadValueError(("cumulative", i), f"another stage is called '{change.name()}' too"))
        stages.append(Choice({"stage": change.name()}, tuple(settings)))
    return stages


def _refuse_unequal(axes: Axes, errors: list[BadValueError]) -> None:
    first = next(iter(axes), "")
    for axis, values in axes.items():
        if len(values) != len(axes[first]):
            text = f"has {len(values)} values, but {first} has {len(axes[first])}: the axes of a zip advance together"
            errors.append(BadValueError(("zip", axis), text))


def _refuse_conflicts(parts: Mapping[str, Axes], errors: list[BadValueError]) -> None:
    """Two axes that set the same field at the same point, or are called the same."""
    owners: dict[Any, tuple[str, str]] = {}
    for part, axes in parts.items():
        for axis, values in axes.items():
            # The axes of one_at_a_time are never set together: they may share fields.
            owner = (part, "") if part == "one_at_a_time" else (part, axis)
            fields = dict.fromkeys(_field(setting) for choice in values for setting in choice.settings)
            for field in (axis_name(axis), *fields):
                if (other := owners.setdefault(field, owner)) != owner:
                    text = f"sets what {dotted(filter(None, other))} sets: one of them would have no effect"
                    errors.append(BadValueError((part, axis), text, key=True))
                    break


def _field(setting: Setting) -> tuple[str, ...]:
    return ("num_steps",) if setting.path[0] in STEPS else setting.path
