"""Sharing equal parts of records, because thousands of results differ only in a few numbers."""

from __future__ import annotations

import marshal
from sys import intern
from typing import Any, TypeVar

from pydantic import ValidationError

from designspace.results.encoded import LineError
from designspace.results.records import GridPoint, MetricValue, Protocol, Record

R = TypeVar("R", bound=Record)
EMPTY: dict[str, Any] = {}
PARTS = ("provenance", "sigmas")
"""The fields of a result that are often equal to those of others, or parts of which are."""
DEEPEST = 50
"""The largest depth of nested objects and lists in a part, because code that walks through them calls itself."""


class Shared:
    """Keeps one copy of equal objects, lists and texts. What it returns must not be changed."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._names: dict[frozenset[str], set[str]] = {}

    def record(self, kind: type[R], content: dict[str, Any]) -> R:
        """The record with this content, which shares parts with earlier ones.

        Raises ``ValidationError``, or ``LineError`` if parts are nested too deeply.
        """
        content |= {name: self._shared(content[name]) for name in PARTS if name in content}
        content |= {name: self._named(content[name]) for name in ("trial", "axes") if name in content}
        if isinstance(id := content.get("id"), str):
            content["id"] = intern(id)
        if isinstance(protocol := content.get("protocol"), dict):
            content["protocol"] = self._protocol(protocol)
        if isinstance(metrics := content.get("metrics"), dict):
            content["metrics"] = {intern(name): self._part(MetricValue, metric) for name, metric in metrics.items()}
        if isinstance(points := content.get("points"), list):
            content["points"] = [self._part(GridPoint, point) for point in points]
        return self._compact(kind.model_validate(content))

    def _part(self, kind: type[Record], content: Any) -> Any:
        """The record or, if it is not valid, its content: the whole record is not valid then, and names the field."""
        try:
            return self._compact(kind.model_validate(content))
        except ValidationError:
            return content

    def _compact(self, record: R) -> R:
        """A copy that takes half the memory.

        It shares the set of the names of its fields, and, as its fields are set one after another, Python stores their
        names once for all records of a kind.
        """
        found, names = type(record).__new__(type(record)), record.model_fields_set
        for name, value in record.__dict__.items():
            object.__setattr__(found, name, value)
        object.__setattr__(found, "__pydantic_extra__", record.__pydantic_extra__ or EMPTY)
        object.__setattr__(found, "__pydantic_private__", None)
        object.__setattr__(found, "__pydantic_fields_set__", self._names.setdefault(frozenset(names), names))
        return found

    def _protocol(self, content: dict[str, Any]) -> Any:
        shared = self._named(content)
        key = marshal.dumps(content, 2)
        if key not in self._known:
            self._known[key] = self._part(Protocol, shared)
        return self._known[key]

    def _named(self, value: Any, depth: int = 0) -> Any:
        """An object that is itself not shared, because no other one is equal to it."""
        if not isinstance(value, dict):
            return value
        if depth > DEEPEST:
            raise LineError("nested too deeply")
        return {intern(key): self._shared(item, depth + 1) for key, item in value.items()}

    def _shared(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            return intern(value) if len(value) < 256 else value
        if isinstance(value, dict):
            return self._once(self._named(value, depth), [*value])
        if depth > DEEPEST:
            raise LineError("nested too deeply")
        return self._once([self._shared(item, depth + 1) for item in value], []) if isinstance(value, list) else value

    def _once(self, found: Any, names: list[str]) -> Any:
        """The first of equal objects or lists. Those inside it are known, so that their addresses tell them apart."""
        inside = found.values() if isinstance(found, dict) else found
        short = [(id(item),) if isinstance(item, dict | list) else item for item in inside]
        return self._known.setdefault(marshal.dumps([names, short], 2), found)  # tells 1, 1.0 and true apart
