"""Components and rows described for people: docstrings with formula and sources, fields, and what a class defines."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from designspace.registry.literature import Source
from designspace.text import written

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

OBJECTS = ("__call__",)
"""The special methods that a row may ask for."""
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
    """The fields of a component in the order in which it declares them, required ones first."""
    fields = sorted(cls.model_fields.items(), key=lambda field: not field[1].is_required())
    return [described(name, about) for name, about in fields]


def described(name: str, about: FieldInfo) -> Field:
    """The description of one field of a pydantic model."""
    default = about.get_default(call_default_factory=True)
    default = default.model_dump() if getattr(default, "model_extra", None) is not None else default  # any arguments
    ends = "required" if about.is_required() else f"default {written(default)}"
    return Field(name, _type(about.annotation), _domain(about), ends)


class Member(NamedTuple):
    """A method or class variable of a row, described for the author of a class."""

    signature: str
    """``sigma(t: Tensor) -> Tensor``, ``one_step: bool = True``."""
    doc: str
    required: bool
    """Whether a class has to define it; otherwise the row has a default."""


def members_of(row: type[BaseModel]) -> Iterator[Member]:
    """The methods and class variables that ``row`` itself declares for classes to define."""
    required: frozenset[str] = getattr(row, "__abstractmethods__", frozenset())
    body = ast.parse(textwrap.dedent(inspect.getsource(row))).body[0]
    nodes = body.body if isinstance(body, ast.ClassDef) else []
    for node, after in zip(nodes, [*nodes[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and "ClassVar" in ast.unparse(node.annotation):
            doc = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            kind = ast.unparse(node.annotation).removeprefix("ClassVar[").removesuffix("]")
            default = f" = {ast.unparse(node.value)}" if node.value else ""
            yield Member(f"{ast.unparse(node.target)}: {kind}{default}", inspect.cleandoc(str(doc)), not node.value)
        elif isinstance(node, ast.FunctionDef) and _may_be_defined(node):
            yield Member(_signature(node), ast.get_docstring(node) or "", node.name in required)


def _may_be_defined(method: ast.FunctionDef) -> bool:
    hidden = method.name.startswith("_") and method.name not in OBJECTS
    return not hidden and not any(ast.unparse(decorator) == "classmethod" for decorator in method.decorator_list)


def _signature(method: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(method.returns)}" if method.returns else ""
    if any(ast.unparse(decorator) == "property" for decorator in method.decorator_list):
        return f"{method.name}: {returns.removeprefix(' -> ')}, a property"
    arguments = ast.unparse(method.args).partition("self")[2].removeprefix(", ")
    return f"{method.name}({arguments}){returns}"


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
