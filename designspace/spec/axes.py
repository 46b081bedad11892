"""The axes of an ablation: their values, and the points of their product."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from designspace.errors import DocPath, Kind, Problem, SpecError, dotted
from designspace.registry.component import Spec
from designspace.registry.wording import problem_at
from designspace.spec.limits import MOST_TRIALS
from designspace.spec.paths import PARTS, STEPS, Setting, axis_name, field_path, suggest_field
from designspace.spec.problems import Problems, refusal
from designspace.text import Label, label_of


class Change(Spec):
    """Fields that are set together: ``{label: large, set: {time_steps.sigma_max: 80, solver: heun}}``."""

    label: Label | None = None
    set: dict[str, Any] = {}

    def name(self) -> Label:
        """The label or, if there is none, a description of what is set."""
        return self.label if self.label is not None else label_of(self.set) or "baseline"

    def settings(self, place: DocPath) -> list[Setting]:
        """The settings of this change, which is written at ``place``. Raises ``SpecError`` for an unknown field."""
        found: list[Setting] = []
        for name, value in self.set.items():
            path, here = field_path(name), (*place, "set", name)
            if path is None:
                raise unknown_field(name, here)
            found += Setting(path, value, here, here).parts()
        return found


@dataclass(frozen=True)
class Choice:
    """A point of the grid before it is resolved: its labels and its changes to the baseline."""

    labels: dict[str, Label] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()

    def __add__(self, other: Choice) -> Choice:
        return Choice(self.labels | other.labels, self.settings + other.settings)

    def on(self, base: Sequence[Setting]) -> list[Setting]:
        """The settings of the point: those of ``base`` that it keeps, then its own, with whole rows before fields."""
        own = sorted(self.settings, key=lambda setting: len(setting.path))
        return [setting for setting in base if not any(new.replaces(setting) for new in own)] + own


Axes = Mapping[str, Sequence[Choice]]


def axes_of(parts: Mapping[str, Any]) -> list[str]:
    """The names of the axes, slowest first."""
    fixed = {"cumulative": ["stage"], "one_at_a_time": ["variant"]}
    named = (fixed.get(part) or map(axis_name, parts[part]) for part in PARTS if parts.get(part))
    return list(itertools.chain.from_iterable(named))


def choices(parts: Mapping[str, Any], problems: Problems) -> list[Choice]:
    """The points of the product of ``parts``, the last axis fastest.

    Invalid values are reported in ``problems``; the points of the valid ones are returned so that they are checked too.
    """
    read = {part: read_axes(part, parts.get(part) or {}, problems) for part in PARTS[1:]}
    stages = _stages(parts.get("cumulative") or (), problems)
    _refuse_unequal(read["zip"], problems)
    _refuse_conflicts({"cumulative": {"stage": stages}} | read, problems)
    zipped = [sum(values, Choice()) for values in zip(*read["zip"].values(), strict=False)]
    several = list(filter(None, [stages, _variants(read["one_at_a_time"]), zipped, *read["grid"].values()]))
    if (number := math.prod(map(len, several))) > MOST_TRIALS:
        part = next(part for part in reversed(PARTS) if parts.get(part))
        sizes = " x ".join(f"{len(values):,}" for values in several)
        what = f"the axes give {number:,} points ({sizes}); the limit is {MOST_TRIALS:,}: use fewer values"
        problems.append(Problem(what, (part,), key=True))
        several = [values[:1] for values in several]
    return [sum(point, Choice()) for point in itertools.product(*several)]


def read_axes(part: str, axes: Mapping[str, Sequence[Any]], problems: Problems) -> dict[str, list[Choice]]:
    """The values of each axis of a part; invalid ones are left out and reported in ``problems``."""
    return {axis: values_of(axis, (part, axis), values, problems) for axis, values in axes.items()}


def values_of(axis: str, place: DocPath, values: Sequence[Any], problems: Problems) -> list[Choice]:
    """The values of an axis, whose list is written at ``place``; invalid ones are reported in ``problems``."""
    if not values:
        problems.append(Problem("has no values", place))
    name, found = axis_name(axis), list[Choice]()
    called: dict[Label, tuple[int, Any]] = {}
    for i, value in enumerate(values):
        with problems.collecting():
            found.append(_value(axis, place, i, value))
            label = found[-1].labels[name]
            same = called.setdefault(label, (i, value))
            if same[1] != value:
                what = f"another value is also called '{label}': give one of them a label, {{label: .., set: {{..}}}}"
                raise refusal(what, (*place, i))
            if same[0] != i and place[0] in ("grid", "one_at_a_time"):  # the axes of a zip advance together
                raise refusal(f"'{label}' is given twice", (*place, i))
    return found


def _value(axis: str, key: DocPath, i: int, value: Any) -> Choice:
    place: DocPath = (*key, i)
    name, path = axis_name(axis), field_path(axis)
    if isinstance(value, Mapping) and "set" in value:
        try:
            change = Change.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            raise SpecError([problem_at((*place, *first["loc"]), first)]) from None
        return Choice({name: change.name()}, tuple(change.settings(place)))
    if path is None:
        raise unknown_field(axis, key)
    return Choice({name: label_of(value)}, tuple(Setting(path, value, place, key).parts()))


def unknown_field(name: str, place: DocPath) -> SpecError:
    """The error that ``name``, a key at ``place``, is no field of a trial."""
    return refusal(f"unknown field '{name}'.{suggest_field(name)}", place, Kind.UNKNOWN_FIELD, key=True)


def _variants(axes: Axes) -> list[Choice]:
    """The baseline, and the baseline with each change by itself."""
    changed = [
        Choice({"variant": f"{axis}={label}"}, choice.settings)
        for values in axes.values()
        for choice in values
        for axis, label in choice.labels.items()
    ]
    return [Choice({"variant": "baseline"}), *changed] if axes else []


def _stages(changes: Sequence[Change], problems: Problems) -> list[Choice]:
    """The baseline, and each change on top of the preceding ones."""
    named = bool(changes) and not changes[0].set
    stages = [] if named or not changes else [Choice({"stage": "baseline"})]
    settings: list[Setting] = []
    for i, change in enumerate(changes):
        with problems.collecting():
            new = change.settings(("cumulative", i))
            settings = [old for old in settings if not any(later.replaces(old) for later in new)] + new
            stages.append(Choice({"stage": change.name()}, tuple(settings)))
            if any(stage.labels["stage"] == change.name() for stage in stages[:-1]):
                raise refusal(f"another stage is also called '{change.name()}'", ("cumulative", i))
    return stages


def _refuse_unequal(axes: Axes, problems: Problems) -> None:
    first = next(iter(axes), "")
    for axis, values in axes.items():
        if len(values) != len(axes[first]):
            what = f"has {len(values)} values, but {first} has {len(axes[first])}: the axes of a zip advance together"
            problems.append(Problem(what, ("zip", axis)))


def _refuse_conflicts(parts: Mapping[str, Axes], problems: Problems) -> None:
    """Report axes that set the same field at the same point, and axes with the same name."""
    owners: dict[Any, tuple[str, str]] = {}
    for part, axes in parts.items():
        for axis, values in axes.items():
            # The axes of one_at_a_time are never set together: they may share fields.
            owner = (part, "") if part == "one_at_a_time" else (part, axis)
            set_fields = dict.fromkeys(_field(setting) for choice in values for setting in choice.settings)
            for name in (axis_name(axis), *set_fields):
                if (other := owners.setdefault(name, owner)) != owner:
                    what = f"sets what {dotted(filter(None, other))} sets, so one of the two would have no effect"
                    problems.append(Problem(what, (part, axis), key=True))
                    break


def _field(setting: Setting) -> tuple[str, ...]:
    return STEPS[:1] if setting.path[0] in STEPS else setting.path
