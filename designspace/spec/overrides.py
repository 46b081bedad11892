"""``--set key=value``: changes to a YAML file from outside, made before anything else is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from designspace.design import Design
from designspace.errors import Place, Problem, SpecError
from designspace.spec.document import Document, parse
from designspace.spec.errors import DocPath
from designspace.spec.paths import PARTS, SEED, STEPS, axis_name, suggest_field

AXES = PARTS[1:]


def override(document: Document, options: Sequence[str], fields: Sequence[str]) -> None:
    """Apply ``options``, each ``KEY=VALUE``, to a document whose top-level fields are ``fields``."""
    for option in options:
        place = Place(f"--set {option}")
        key, equals, text = option.partition("=")
        try:
            if not equals:
                raise ValueError("is not KEY=VALUE")
            path = _path(key.strip(), document.data, fields)
            value = parse(text, str(place), lines=False)
            _set(document.data, path, value)
        except SpecError as error:
            document.problems += error.problems
        except ValueError as error:
            document.problems.append(Problem(place, "", str(error)))
        else:
            document.replace(path, value)


def _path(key: str, data: dict[str, Any], fields: Sequence[str]) -> DocPath:
    first, *rest = key.split(".")
    if first in AXES and rest:
        axis = ".".join(rest)
        written = data.get(first)
        same = [old for old in written if axis_name(old) == axis_name(axis)] if isinstance(written, dict) else []
        return (first, same[0] if same else axis)
    if first in fields:
        return (first, *rest)
    if first in Design.model_fields:
        return ("design", first, *rest)
    if key == "seed":
        return SEED
    raise ValueError(f"'{first}' names nothing.{suggest_field(key, fields)}")


def _set(data: dict[str, Any], path: DocPath, value: Document) -> None:
    if path[0] in STEPS:
        for step in STEPS:
            data.pop(step, None)
    *folders, last = path
    for depth, name in enumerate(folders):
        inside = data.get(str(name))
        if isinstance(inside, str):
            inside = {"preset" if depth == 0 and name == "design" else "name": inside}
        if not isinstance(inside, dict | None):
            raise ValueError(f"'{name}' has no fields that could be set; set it as a whole")
        data[str(name)] = data = dict(inside or {})
    data[str(last)] = value.data
