"""Which of the values of each axis the baseline has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.design import Design
from designspace.spec.axes import Choice, read_axes
from designspace.spec.errors import BadValueError
from designspace.spec.paths import Setting, build
from designspace.spec.plan import baseline
from designspace.spec.trial import Label, Point

if TYPE_CHECKING:
    from designspace.spec import Ablation


def default_labels(ablation: Ablation, points: Sequence[Point]) -> dict[str, Label]:
    """By axis of ``grid`` and ``zip`` the label of the value that the ablation's own design, data or denoiser is.

    Axes whose values are all others have no entry. Reports compare with these, and with the first value elsewhere.
    """
    base = baseline(ablation)
    design = _design(base)
    found: dict[str, Label] = {}
    for part in ("zip", "grid"):
        for choices in read_axes(part, getattr(ablation, part), []).values():
            for choice in choices:
                ((axis, label),) = choice.labels.items()
                if axis not in found and _is_base(choice, base, design, points, axis):
                    found[axis] = label
    return found


def _is_base(
    choice: Choice, base: Sequence[Setting], design: Design | None, points: Sequence[Point], axis: str
) -> bool:
    """Whether what a choice sets is, once resolved, what the baseline has."""
    paths = [new.path for new in choice.settings]
    if not all(path[0] == "design" for path in paths):
        given = {setting.path: setting.value for setting in base}
        return all(given.get(new.path) == new.value for new in choice.settings)
    point = next((point for point in points if point.axes.get(axis) == choice.labels[axis]), None)
    if design is None or point is None or not paths:
        return False
    return all(_at(point.trial.design, path[1:]) == _at(design, path[1:]) for path in paths)


def _at(design: Design, path: Sequence[str]) -> Any:
    """A component, or one of its fields."""
    found: Any = design
    for name in path:
        found = getattr(found, name, None)
    return found


def _design(base: Sequence[Setting]) -> Design | None:
    """The design of the baseline; ``None`` if it has none of its own."""
    try:
        raw: dict[str, Any] = build([setting for setting in base if setting.path[0] == "design"])["design"]
        return Design.model_validate(
            {row: value for row, value in raw.items() if row != SIGMA_DATA}
        )  # may be the data's
    except (KeyError, BadValueError, ValidationError):
        return None
