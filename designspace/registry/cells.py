"""Classes that are defined in a cell of a notebook, with what they use from other cells."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import FunctionType
from typing import Any

PLAIN = (bool, int, float, str)
"""The types of variables that count by their value."""


@dataclass(frozen=True)
class Cell:
    """The cell in which a class called ``name`` is defined."""

    name: str
    text: str
    variables: Mapping[str, Any]
    """All variables of the notebook, as they are now."""

    def digest(self) -> str:
        """The hash of the cell, and of what the class uses from other cells, directly or through each other.

        Functions and classes of the notebook count by their source, numbers and text by their value. Other variables,
        such as tensors, and what is used under a computed name are missed.
        """
        others = {name: text.encode() for name, text in self._used().items() if text not in self.text}
        return hashed(self.text.encode(), others)

    def _used(self) -> dict[str, str]:
        found: dict[str, str] = {}
        todo = [_class_in(self.text, self.name)]
        while todo:
            for name in _names(todo.pop()) - found.keys() - {self.name}:
                text = _text(name, self.variables.get(name))
                if text:
                    found[name] = text
                    todo.append(text)
        return found


def hashed(content: bytes, others: Mapping[str, bytes]) -> str:
    """The sha256 of ``content`` or, with other named parts, of all of them in the order of their names."""
    parts = [f"{name} {sha256(other).hexdigest()}" for name, other in sorted(others.items())]
    own = sha256(content).hexdigest()
    return sha256("\n".join([own, *parts]).encode()).hexdigest() if parts else own


def _text(name: str, value: Any) -> str:
    """What a variable of the notebook counts as; empty if it does not count."""
    if isinstance(value, PLAIN):
        return f"{name} = {value!r}"
    if getattr(value, "__module__", None) != "__main__" or not callable(value):
        return ""
    value = inspect.unwrap(value)
    if isinstance(value, FunctionType):
        return "".join(inspect.getblock(_lines(value)[value.__code__.co_firstlineno - 1 :] or [""]))
    return _class_text(value) if isinstance(value, type) else ""


def _class_text(cls: type[Any]) -> str:
    """The source of a class, which is found by its methods; of a class without any, its plain attributes."""
    attributes = vars(cls)
    for member in attributes.values():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if isinstance(function, FunctionType) and (lines := _lines(function)):
            return _class_in("".join(lines), cls.__name__)
    return "\n".join(f"{name} = {value!r}" for name, value in attributes.items() if isinstance(value, PLAIN))


def _lines(function: FunctionType) -> list[str]:
    return linecache.getlines(function.__code__.co_filename)


def _class_in(text: str, name: str) -> str:
    """The source of a class within that of its cell; the whole cell if it is not found there."""
    found = [node for node in ast.walk(_parsed(text)) if isinstance(node, ast.ClassDef) and node.name == name]
    if not found:
        return text
    start = min([found[-1].lineno, *(decorator.lineno for decorator in found[-1].decorator_list)])
    return "".join(text.splitlines(keepends=True)[start - 1 : found[-1].end_lineno])


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name)}


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(textwrap.dedent(text))
    except SyntaxError:  # a part of a line, as the source of a lambda may be
        return ast.Module([], [])
