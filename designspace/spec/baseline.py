"""The baseline of an ablation: what every point starts from, and the point of the grid that has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.design import Design
from designspace.errors import SpecError
from designspace.spec.axes import Choice, read_axes
from designspace.spec.evaluate import Evaluate
from designspace.spec.paths import SECTIONS, STEPS, Setting, at, build
from designspace.spec.problems import Problems
from designspace.spec.trial import Point, Trial
from designspace.text import Label


def baseline(fields: Mapping[str, Any]) -> list[Setting]:
    """The settings of every point that does not replace them."""
    defaults = {
        ("evaluate", "detector"): Evaluate.model_fields["detector"].default,
        ("guidance",): Trial.model_fields["guidance"].default,
        ("decoder",): Trial.model_fields["decoder"].default,
    }
    found = [Setting(path, value, path, path) for path, value in defaults.items()]
    for name in (*SECTIONS, *STEPS):
        if (value := fields[name]) is not None:
            found += Setting((name,), value, (name,), (name,)).parts()
    return found


def default_labels(fields: Mapping[str, Any], points: Sequence[Point]) -> dict[str, Label]:
    """For each axis of ``grid`` and ``zip`` of an ablation with these ``fields``, the label of the baseline's value.

    Axes that do not include the baseline's value have no entry. Reports compare with these values, and with the first
    value of an axis without an entry.
    """
    base = baseline(fields)
    design = _design(base)
    first: dict[tuple[str, Label], Point] = {}
    for point in points:
        for place in point.axes.items():
            first.setdefault(place, point)
    found: dict[str, Label] = {}
    for part in ("zip", "grid"):
        for choices in read_axes(part, fields[part], Problems()).values():
            for choice in choices:
                ((axis, label),) = choice.labels.items()
                if axis not in found and _is_base(choice, base, design, first.get((axis, label))):
                    found[axis] = label
    return found


def _is_base(choice: Choice, base: Sequence[Setting], design: Design | None, point: Point | None) -> bool:
    """Whether the baseline has, once resolved, the values that a choice sets at ``point``."""
    paths = [new.path for new in choice.settings]
    if not all(path[0] == "design" for path in paths):
        given = {setting.path: setting.value for setting in base}
        return all(given.get(new.path) == new.value for new in choice.settings)
    if design is None or point is None or not paths:
        return False
    return all(at(point.trial.design, path[1:]) == at(design, path[1:]) for path in paths)


def _design(base: Sequence[Setting]) -> Design | None:
    """The design of the baseline; ``None`` if the baseline does not have a complete one."""
    try:
        raw: dict[str, Any] = build([setting for setting in base if setting.path[0] == "design"])["design"]
        rows = {row: value for row, value in raw.items() if row != SIGMA_DATA}  # it may need the data set
        return Design.model_validate(rows)
    except (KeyError, SpecError, ValidationError):
        return None
