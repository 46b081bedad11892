"""Names of spec fields: ``solver``, ``time_steps.rho``, ``evaluate.images``; what an axis or an option may set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.design import Design, preset_rows
from designspace.registry.known import ROWS
from designspace.spec.errors import BadValueError, DocPath, table
from designspace.text import did_you_mean

FieldPath = tuple[str, ...]
"""Where a value stands in a trial: ``("design", "time_steps", "rho")``."""
Location = tuple[str | int, ...]
"""The same, perhaps inside a list: as pydantic says where an error is."""

PARTS = ("cumulative", "one_at_a_time", "zip", "grid")
"""The parts of an ablation that vary things; their product is taken in this order, the last fastest."""
STEPS = ("num_steps", "nfe")
"""Two ways to say the same thing."""
_rows = lru_cache(preset_rows)
SEED = ("evaluate", "seed")
SECTIONS = ("design", "data", "denoiser", "evaluate")


def field_path(name: str) -> FieldPath | None:
    """Where the field ``name`` stands in a trial: ``design.`` may be left out. None if it names nothing."""
    first, *rest = name.split(".")
    if name == "training_images":
        return ("denoiser", name)
    if first in Design.model_fields or name == SIGMA_DATA:
        return ("design", first, *rest)
    if name == "seed":
        return SEED
    return (first, *rest) if first in SECTIONS or (first in STEPS and not rest) else None


def axis_name(name: str) -> str:
    """The one name of an axis that may be written as ``solver`` or ``design.solver``."""
    path = field_path(name)
    if path is None or path == SEED:
        return "seed" if path else name
    return ".".join(path[1:] if path[0] == "design" and path[1:] else path)


def suggest_field(name: str, others: Sequence[str] = ()) -> str:
    """`` Did you mean 'time_steps.rho'?`` for ``rho`` or ``time_step.rho``, or an empty string."""
    fields = [*others, *_fields()]
    inner = [field for field in fields if field.endswith(f".{name}")]
    return f" Did you mean {inner[0]!r}?" if inner else did_you_mean(name, fields)


def _fields() -> Iterator[str]:
    yield from (*Design.model_fields, SIGMA_DATA, *SECTIONS, *STEPS, "seed")
    yield from (f"evaluate.{name}" for name in ("images", "repeats", "detector", "metrics", "labels", "seed"))
    for row in (*Design.model_fields, "data", "denoiser"):
        if row in ROWS:
            yield from dict.fromkeys(f"{row}.{name}" for cls in ROWS[row].known.values() for name in cls.model_fields)


class Setting(NamedTuple):
    """A value for a field of a trial, and where it is written."""

    path: FieldPath
    value: Any
    place: DocPath
    key: DocPath
    """Where the field's name is written."""

    @property
    def varies(self) -> bool:
        """Whether it belongs to a point of the grid, not to the baseline."""
        return self.place[0] in PARTS

    def replaces(self, old: Setting) -> bool:
        """Whether ``old`` has no effect once this is set."""
        return old.path[: len(self.path)] == self.path or (self.path[0] in STEPS and old.path[0] in STEPS)

    def parts(self) -> Iterator[Setting]:
        """One setting for each field that the value changes; a whole component, list or scalar is one."""
        if self.path == ("design",) and isinstance(self.value, dict) and "preset" in self.value:
            yield Setting(self.path, self.value["preset"], (*self.place, "preset"), (*self.key, "preset"))
            rest = {row: value for row, value in self.value.items() if row != "preset"}
            yield from self._replace(value=rest).parts() if rest else ()
        elif table(self.value):
            for name, value in self.value.items():
                below = (*self.place, name)
                yield from Setting((*self.path, name), value, below, below).parts()
        else:
            yield self


def written(settings: Sequence[Setting], location: Location, *, key: bool = False) -> DocPath:
    """Where the value at ``location`` of the trial is written, or would be."""
    above = [setting for setting in settings if location[: len(setting.path)] == setting.path]
    if not above:
        return location
    nearest = max(above[::-1], key=lambda setting: len(setting.path))
    return nearest.key if key and nearest.path == location else nearest.place + location[len(nearest.path) :]


def build(settings: Sequence[Setting]) -> dict[str, Any]:
    """The raw trial that ``settings`` give, applied in order. Raises ``BadValueError``."""
    raw: dict[str, Any] = {}
    for setting in settings:
        value = _preset(setting) if setting.path == ("design",) else setting.value
        if setting.path[0] in STEPS:
            if value is None:
                raise BadValueError(setting.place, "should be a whole number, not null")
            for step in STEPS:
                raw.pop(step, None)
        _put(raw, setting, value)
    return raw


def _preset(setting: Setting) -> dict[str, Any]:
    if not isinstance(setting.value, str):
        text = f"should be the name of a preset or a mapping of rows, not {setting.value!r}"
        raise BadValueError(setting.place, text)
    try:
        return _rows(setting.value)
    except ValueError as error:
        raise BadValueError(setting.place, str(error)) from None


def _put(raw: dict[str, Any], setting: Setting, value: Any) -> None:
    *folders, last = setting.path
    for name in folders:
        inside = raw.get(name, {})
        if not isinstance(inside, str | dict):
            raise BadValueError(setting.key, f"'{name}' has no fields that could be set", key=True)
        raw[name] = {"name": inside} if isinstance(inside, str) else dict(inside)
        raw = raw[name]
    raw[last] = value
