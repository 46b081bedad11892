"""The fields of a trial: their names (``solver``, ``time_steps.rho``, ``evaluate.images``), paths and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.design import Design, preset_rows, with_field
from designspace.errors import DocPath, SpecError
from designspace.registry.known import ROWS
from designspace.spec.problems import refusal
from designspace.text import did_you_mean

FieldPath = tuple[str, ...]
"""The path of a field in a trial: ``("design", "time_steps", "rho")``."""
Location = tuple[str | int, ...]
"""The path of a value in a trial, which may be inside a list: ``("evaluate", "metrics", 0)``."""

PARTS = ("cumulative", "one_at_a_time", "zip", "grid")
"""The parts of an ablation that vary fields, in the order of their product: the last varies fastest."""
SEARCH = "search"
"""The part of an ablation that says what a search tries, in place of ``PARTS``."""
STEPS = ("num_steps", "nfe", "nfe_total")
"""The fields for the number of steps; setting one replaces the others."""
SEED = ("evaluate", "seed")
SECTIONS = ("design", "data", "denoiser", "guidance", "decoder", "evaluate")


def field_path(name: str) -> FieldPath | None:
    """The path of the field ``name`` (``design.`` may be left out), or ``None`` if there is no such field."""
    first, *rest = name.split(".")
    if name == "training_images":
        return ("denoiser", name)
    if first in Design.model_fields or name == SIGMA_DATA:
        return ("design", first, *rest)
    if name == "seed":
        return SEED
    return (first, *rest) if first in SECTIONS or (first in STEPS and not rest) else None


def axis_name(name: str) -> str:
    """The canonical name of an axis: ``solver`` for ``design.solver``."""
    path = field_path(name)
    if path is None or path == SEED:
        return "seed" if path else name
    return ".".join(path[1:] if path[0] == "design" and path[1:] else path)


def at(of: object, path: FieldPath) -> Any:
    """The component or value at ``path`` in a trial or a part of one; ``None`` if there is no such field."""
    for name in path:
        of = getattr(of, name, None)
    return of


def suggest_field(name: str, others: Sequence[str] = ()) -> str:
    """The suggestion `` Did you mean 'time_steps.rho'?`` for ``rho`` or ``time_step.rho``, or an empty string."""
    if name == "nfe_guidance":
        return " It is 0 without guidance, whatever the number of steps, and thus no budget: use nfe_total."
    fields = [*others, *_fields()]
    inner = [repr(field) for field in dict.fromkeys(fields) if field.endswith(f".{name}")]
    return f" Did you mean {' or '.join(inner)}?" if inner else did_you_mean(name, fields)


def _fields() -> Iterator[str]:
    yield from (*Design.model_fields, SIGMA_DATA, *SECTIONS, *STEPS, "seed")
    yield from (f"evaluate.{name}" for name in ("images", "repeats", "detector", "metrics", "labels", "seed"))
    for row in (*Design.model_fields, "data", "denoiser", "guidance", "decoder"):
        if row in ROWS:
            yield from dict.fromkeys(f"{row}.{name}" for cls in ROWS[row].known.values() for name in cls.model_fields)


class Setting(NamedTuple):
    """A value for a field of a trial, and where in the document it is written."""

    path: FieldPath
    value: Any
    place: DocPath
    """Where the value is written."""
    key: DocPath
    """Where the name of the field is written."""

    @property
    def varies(self) -> bool:
        """Whether it belongs to a point of the grid or to a search rather than to the baseline."""
        return self.place[0] in (*PARTS, SEARCH)

    def replaces(self, old: Setting) -> bool:
        """Whether ``old`` has no effect once this is set."""
        return old.path[: len(self.path)] == self.path or (self.path[0] in STEPS and old.path[0] in STEPS)

    def parts(self) -> Iterator[Setting]:
        """Split a mapping into one setting per field; a named component, a list or a scalar is yielded whole."""
        if not isinstance(self.value, Mapping) or "name" in self.value:
            yield self
        elif "preset" in self.value and self.path == ("design",):
            yield Setting(self.path, self.value["preset"], (*self.place, "preset"), (*self.key, "preset"))
            rest = {row: value for row, value in self.value.items() if row != "preset"}
            yield from self._replace(value=rest).parts()
        else:
            for name, value in self.value.items():
                below = (*self.place, name)
                yield from Setting((*self.path, name), value, below, below).parts()


def written(settings: Sequence[Setting], location: Location, *, key: bool = False) -> DocPath:
    """The path in the document at which the value at ``location`` of the trial is written, or would be."""
    above = [setting for setting in settings if location[: len(setting.path)] == setting.path]
    if not above:
        return location
    nearest = max(above[::-1], key=lambda setting: len(setting.path))
    rest = location[len(nearest.path) :]
    if not rest:
        return nearest.key if key else nearest.place
    rows_beside_preset = nearest.path == ("design",) and nearest.place[-1:] == ("preset",)
    return (nearest.place[:-1] if rows_beside_preset else nearest.place) + rest


def build(settings: Sequence[Setting]) -> dict[str, Any]:
    """Apply ``settings`` in order and return the raw trial.

    Raises:
        SpecError: A setting names an unknown preset, or a field of a value that has no fields.
    """
    raw: dict[str, Any] = {}
    for setting in settings:
        if setting.value is None and setting.path[0] in STEPS:
            raise refusal("should be an integer, not null", setting.place)
        value = _preset(setting) if setting.path == ("design",) else setting.value
        try:
            raw = set_in_spec(raw, setting.path, value)
        except SpecError as error:
            raise refusal(error.problems[0].what, setting.key, key=True) from None
    return raw


def set_in_spec(raw: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """``with_field`` for a whole spec, in which the fields of ``STEPS`` replace each other."""
    if path[0] in STEPS:
        raw = {name: old for name, old in raw.items() if name not in STEPS}
    return with_field(raw, path, value)


_preset_rows = lru_cache(preset_rows)


def _preset(setting: Setting) -> dict[str, Any]:
    if not isinstance(setting.value, str):
        what = f"should be the name of a preset or a mapping of rows, not {setting.value!r}"
        raise refusal(what, setting.place)
    try:
        return _preset_rows(setting.value)
    except ValueError as error:
        raise refusal(str(error), setting.place) from None
