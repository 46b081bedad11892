"""The page of the public names, from their signatures and docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_origin

import rst
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import designspace
from designspace import testing
from designspace.registry.component import Component
from designspace.registry.description import described, fields_of
from designspace.table import columns

EXAMPLES = Path(__file__).parent / "examples.md"
EXAMPLE = re.compile(r"^## (\S+)(.*)\n\n(```pycon\n(?:.*\n)*?```)$", re.M)
BESIDE = {
    "ds.plots": (designspace.plots, designspace.plots.__all__),
    "designspace.table.columns": (columns, ["read_columns", "read_design"]),
    "designspace.testing": (testing, ["checks", "checks_of"]),
}
"""Modules with public names of their own."""


def page() -> str:
    """All public names: first what is called, then the rows."""
    own = {name: getattr(designspace, name) for name in designspace.__all__ if name != "plots"}
    rows = {name: cls for name, cls in own.items() if inspect.isclass(cls) and issubclass(cls, Component)}
    parts = ["# API", "`import designspace as ds`. Everything is typed; `py.typed` is in the package."]
    parts += [_entry(f"ds.{name}", thing) for name, thing in own.items() if name not in rows]
    parts += [
        "## Rows",
        "Subclass one of these to add a component; the pages of the design space show the built-in ones.",
    ]
    parts += [_entry(f"ds.{name}", cls, level=3) for name, cls in rows.items()]
    for title, (module, names) in BESIDE.items():
        parts += [f"## {title}", rst.markdown(module.__doc__)]
        parts += [_entry(name, getattr(module, name), level=3) for name in names]
    return "\n\n".join(parts) + "\n"


@cache
def examples() -> dict[str, str]:
    """The examples, blocks of Python's prompt, by the first of the names that they show."""
    return {name: block for name, _, block in EXAMPLE.findall(EXAMPLES.read_text("utf-8"))}


def _entry(name: str, thing: Any, level: int = 2) -> str:
    """Signature, docstring, example, fields and members."""
    example = f"\n\n{examples()[name]}" if name in examples() else ""
    head = f"{'#' * level} {name}"
    if get_origin(thing) is Annotated:
        field = described(name, FieldInfo.from_annotation(thing))
        return f"{head}\n\nThe type of a field: `{field.type}`, {field.domain}.{example}"
    if not inspect.isclass(thing):
        return f"{head}\n\n{_signature(name, thing)}\n\n{rst.markdown(thing.__doc__)}{example}"
    parts = [head, rst.markdown(thing.__doc__) + example, *_fields(thing)]
    for member, method, is_property in _methods(thing):
        code = f"```python\n{member}: {inspect.signature(method).return_annotation}\n```"
        parts += [code if is_property else _signature(member, method), rst.markdown(method.__doc__)]
    return "\n\n".join(parts)


def _fields(cls: type) -> Iterator[str]:
    if issubclass(cls, BaseModel) and (fields := fields_of(cls)):
        yield "\n".join(f"- `{f.name}`: `{f.type}`, {_code(f.default)}" for f in fields)
    elif dataclasses.is_dataclass(cls):
        yield "\n".join(f"- `{f.name}`: `{f.type}`" for f in dataclasses.fields(cls))


def _code(default: str) -> str:
    return re.sub(r"^default (.*)", r"default `\1`", default, flags=re.S) if default != "default " else "default empty"


def _methods(cls: type) -> Iterator[tuple[str, Any, bool]]:
    """Its own public ones that are documented, properties too."""
    for name, value in vars(cls).items():
        method = getattr(value, "__func__", value)
        method = method.fget if isinstance(method, property) else method
        public = name == "__call__" or not name.startswith(("_", "model_"))
        if public and inspect.isfunction(method) and (method.__doc__ or name == "__call__"):
            yield name, method, isinstance(value, property)


def _signature(name: str, function: Any) -> str:
    plain = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    call = f"{name}{plain}"
    if len(call) > 100:
        inside, _, returned = plain[1:].rpartition(") ->")
        inside = re.sub(r", (?=\**\w+:|\*,|/)", ",\n    ", inside)
        call = f"{name}(\n    {inside},\n) ->{returned}"
    return f"```python\n{call}\n```"
