"""Components described for people: the docstring with formula and sources, and the fields."""

from __future__ import annotations

import inspect
import textwrap
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from designspace.registry.literature import Source
from designspace.text import written

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "multiple of", "pattern": "matches"}


class Field(NamedTuple):
    """A field, described for the author of a YAML file."""

    name: str
    type: str
    """The type, such as ``float`` or ``list[int] | null``."""
    domain: str
    """The domain that is checked, such as ``> 0`` or ``>= 2, <= 512``."""
    default: str
    """The default, such as ``default 7``, or ``required``."""


def fields_of(cls: type[BaseModel]) -> list[Field]:
    """The fields of a component, in the order in which it declares them."""
    return [described(name, about) for name, about in cls.model_fields.items()]


def described(name: str, about: FieldInfo) -> Field:
    """The description of one field of a pydantic model."""
    default = about.get_default(call_default_factory=True)
    ends = "required" if about.is_required() else f"default {written(default)}"
    return Field(name, _type(about.annotation), _domain(about), ends)


def documented(doc: str | None, formula: str, sources: tuple[Source, ...]) -> str:
    """A docstring with the formula after its first paragraph and the sources at its end, in reStructuredText."""
    parts = inspect.cleandoc(doc or "").split("\n\n", 1)
    if formula:
        parts.insert(1, ".. math:: " + textwrap.indent(inspect.cleandoc(formula), "    ").lstrip())
    if sources:
        parts += ["Sources:", "\n".join(f"- {s.authors} ({s.year}). {s.title}. {s.url}" for s in sources)]
    return "\n\n".join(parts)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is tuple and arguments[1:] == (...,):
        return f"list[{_type(arguments[0])}]"
    if origin in (Union, UnionType):
        return " | ".join(map(_type, arguments))
    if origin is Literal:
        return " | ".join(map(str, arguments))
    return "null" if annotation is NoneType else getattr(annotation, "__name__", str(annotation))


def _domain(about: FieldInfo) -> str:
    limits = [(sign, getattr(m, key, None)) for m in about.metadata for key, sign in SIGNS.items()]
    finite = any(getattr(m, "allow_inf_nan", None) is False for m in about.metadata)
    return ", ".join([f"{sign} {limit}" for sign, limit in limits if limit is not None] or ["finite"] * finite)
