"""Checks of every component, whatever its row."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from designspace.design import Design
from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.testing.assertions import require


def has_an_example(required: list[str], cls: type[Component]) -> None:
    """A component with required fields needs an example on which it can be checked."""
    require(
        False, "examples for checks_of", f"an instance, because of the required fields {', '.join(required)}", "none"
    )


def is_documented(component: Component) -> None:
    """It has a docstring. A built-in component of a row of Table 1 declares its formula and its sources."""
    cls = type(component)
    require(bool((cls.__doc__ or "").strip()), "the docstring", "a description", "none")
    if cls.__module__.startswith("designspace.") and component.row in Design.model_fields:
        require(bool(component.sources), "sources", "at least one publication", "none")
        require(bool(component.formula), "formula", "a formula in LaTeX", "none")


def round_trips(component: Component) -> None:
    """It can be read back from its JSON, hashed, and identified."""
    text = json.dumps(component.model_dump(mode="json"), allow_nan=False)
    again = ROWS[component.row].model_validate(json.loads(text))
    require(again == component, "the component read back from its JSON", component, again)
    require(hash(again) == hash(component), "the hash of the component read back", hash(component), hash(again))
    first, second = (json.dumps(each.identity(), allow_nan=False) for each in (component, again))
    require(first == second, "the identity of the component read back", first, second)


def takes_the_arguments(component: Component) -> None:
    """Each method can be called with the arguments that are passed to it."""
    cls = type(component)
    for base in cls.__mro__:
        if base is Component or not issubclass(base, Component) or not base.built_in():
            continue
        for name, method in vars(base).items():
            own = inspect.getattr_static(cls, name, None)
            if inspect.isfunction(method) and inspect.isfunction(own) and own is not method:
                _require_arguments(name, own, method)


def _require_arguments(name: str, own: Callable[..., Any], method: Callable[..., Any]) -> None:
    required = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
    passed = [p.name for p in required]
    by_name = {p.name: None for p in required if p.kind is p.KEYWORD_ONLY}
    try:
        inspect.signature(own).bind(*passed[: len(passed) - len(by_name)], **by_name)
    except TypeError:
        expected, got = (f"({', '.join(names)})" for names in (passed, inspect.signature(own).parameters))
        require(False, f"the arguments of {name}", expected, got)
