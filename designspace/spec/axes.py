"""The values of an axis, each with its label and with the fields that it sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from designspace.registry.component import Spec
from designspace.spec.errors import BadValueError, DocPath, what
from designspace.spec.paths import Setting, axis_name, field_path, suggest_field
from designspace.spec.trial import Label


class Change(Spec):
    """Several fields set at one point: ``{label: large, set: {time_steps.sigma_max: 80, solver: heun}}``."""

    label: Label | None = None
    set: dict[str, Any] = {}

    def name(self) -> Label:
        """The label, or what is set."""
        return self.label if self.label is not None else label_of(self.set) or "baseline"

    def settings(self, place: DocPath) -> list[Setting]:
        """What it sets; it is written at ``place``. Raises ``BadValueError`` if a name is not a field's."""
        found: list[Setting] = []
        for name, value in self.set.items():
            path, here = field_path(name), (*place, "set", name)
            if path is None:
                raise BadValueError(here, f"names nothing that could be set.{suggest_field(name)}", key=True)
            found += Setting(path, value, here, here).parts()
        return found


@dataclass(frozen=True)
class Choice:
    """A point of the grid before it is resolved: its labels, and what it changes in the baseline."""

    labels: dict[str, Label] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()

    def __add__(self, other: Choice) -> Choice:
        return Choice(self.labels | other.labels, self.settings + other.settings)

    def on(self, base: Sequence[Setting]) -> list[Setting]:
        """The settings of the point: those of ``base`` that it does not replace, then its own, rows before fields."""
        own = sorted(self.settings, key=lambda setting: len(setting.path))
        return [setting for setting in base if not any(new.replaces(setting) for new in own)] + own


def label_of(value: Any) -> Label:
    """How a value is called in tables: ``heun(alpha=0.5)`` for ``{name: heun, alpha: 0.5}``."""
    if isinstance(value, Mapping):
        fields = ", ".join(f"{k}={label_of(v)}" for k, v in value.items() if k != "name")
        return f"{value['name']}" + (f"({fields})" if fields else "") if "name" in value else fields
    if isinstance(value, list | tuple):
        return ", ".join(str(label_of(item)) for item in value)
    return value if isinstance(value, Label) else "null" if value is None else str(value)


def read_axes(part: str, axes: Mapping[str, Sequence[Any]], errors: list[BadValueError]) -> dict[str, list[Choice]]:
    """For each axis of a part its values; what is wrong is added to ``errors``."""
    return {axis: _values(part, axis, values, errors) for axis, values in axes.items()}


def _values(part: str, axis: str, values: Sequence[Any], errors: list[BadValueError]) -> list[Choice]:
    if not values:
        errors.append(BadValueError((part, axis), "has no values"))
    found: list[Choice] = []
    called: dict[Label, Any] = {}
    for i, value in enumerate(values):
        try:
            found.append(_value(part, axis, i, value))
        except BadValueError as error:
            errors.append(error)
            continue
        label = found[-1].labels[axis_name(axis)]
        first = called.setdefault(label, value)
        if first is not value and first != value:
            text = f"another value is called '{label}' too: give one of them a label, {{label: .., set: {{..}}}}"
            errors.append(BadValueError((part, axis, i), text))
    return found


def _value(part: str, axis: str, i: int, value: Any) -> Choice:
    place: DocPath = (part, axis, i)
    if isinstance(value, Mapping) and "set" in value:
        try:
            change = Change.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadValueError((*place, *first["loc"]), what(first), key=first["type"] == "extra_forbidden") from None
        return Choice({axis_name(axis): change.name()}, tuple(change.settings(place)))
    path = field_path(axis)
    if path is None:
        raise BadValueError((part, axis), f"names nothing that could be varied.{suggest_field(axis)}", key=True)
    return Choice({axis_name(axis): label_of(value)}, tuple(Setting(path, value, place, (part, axis)).parts()))
