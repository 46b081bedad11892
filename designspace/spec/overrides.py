"""Applying the options ``--set`` to a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.design import Design
from designspace.errors import Kind, Place, SpecError
from designspace.spec.document import Document, parse
from designspace.spec.paths import PARTS, SEARCH, SEED, axis_name, set_in_spec, suggest_field
from designspace.spec.problems import refusal


def override(document: Document, options: Sequence[str], fields: Sequence[str]) -> None:
    """Apply the options ``--set KEY=VALUE`` to a document whose top-level fields are ``fields``."""
    for option in options:
        place = Place(f"--set {option}")
        try:
            key, equals, text = option.partition("=")
            if not equals:
                raise refusal("is not KEY=VALUE", ())
            path = _path(key.strip(), document.data, fields)
            _require_effect(path, document.data)
            value = parse(text, str(place), lines=False)
            document.data = set_in_spec(document.data, path, value.data)
        except SpecError as error:
            document.problems += [problem._replace(place=problem.place or place) for problem in error.problems]
        else:
            document.replace(path, value)


def _require_effect(path: tuple[str, ...], data: dict[str, Any]) -> None:
    """Refuse to set a field, or a part of it, to which an axis gives a value at every point."""
    name = ".".join(path[1:] if path[0] == "design" and path[1:] else path)
    for part in ("grid", "zip"):
        axes = data.get(part)
        for axis in axes if isinstance(axes, dict) else ():
            if name == (canonical := axis_name(axis)) or name.startswith(f"{canonical}."):
                raise refusal(f"{axis} is an axis, whose values replace this: set {part}.{axis}=[...]", ())


def _axis(name: str, axes: object) -> str:
    """The key of ``axes`` that denotes the axis ``name``, or ``name`` if none does."""
    same = [old for old in axes if axis_name(old) == axis_name(name)] if isinstance(axes, dict) else []
    return same[0] if same else name


def _path(key: str, data: dict[str, Any], fields: Sequence[str]) -> tuple[str, ...]:
    """The path in the document of the field or axis that an option calls ``key``."""
    first, *rest = key.split(".")
    if first in PARTS and first != "cumulative" and rest:
        return (first, _axis(".".join(rest), data.get(first)))
    if first == SEARCH and rest[:1] == ["rows"] and rest[1:]:
        search = data.get(first)
        return (first, "rows", _axis(".".join(rest[1:]), search.get("rows") if isinstance(search, dict) else None))
    if first in fields:
        return (first, *rest)
    if first in Design.model_fields or key == SIGMA_DATA:
        return ("design", first, *rest)
    if key == "seed":
        return SEED
    near = suggest_field(key, fields) or f" Fields: {', '.join(fields)}, and the rows of the design."
    raise refusal(f"unknown field '{first}'.{near}", (), Kind.UNKNOWN_FIELD)
