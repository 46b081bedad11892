"""Sharing equal parts of records, because thousands of results differ only in a few numbers."""

from __future__ import annotations

import marshal
from sys import intern
from typing import Any, TypeVar

from pydantic import ValidationError

from designspace.results.records import Protocol, Record

R = TypeVar("R", bound=Record)
PARTS = ("trial", "provenance", "sigmas", "axes")
"""The fields of a result whose parts are often equal to those of others."""


class Shared:
    """Keeps one copy of equal objects, lists and texts. What it returns must not be changed."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._names: dict[frozenset[str], set[str]] = {}

    def record(self, kind: type[R], content: dict[str, Any]) -> R:
        """The record with this content, which shares parts with earlier ones. Raises ``ValidationError``."""
        content |= {name: self._shared(content[name]) for name in PARTS if name in content}
        if isinstance(protocol := content.get("protocol"), dict):
            content["protocol"] = self._protocol(protocol)
        record = self._names_of(kind.model_validate(content))
        for metric in getattr(record, "metrics", {}).values():
            self._names_of(metric)
        return record

    def _names_of(self, record: R) -> R:
        """The record, which now shares the set of its fields that are set: it is larger than all values together."""
        names = record.model_fields_set
        object.__setattr__(record, "__pydantic_fields_set__", self._names.setdefault(frozenset(names), names))
        return record

    def _protocol(self, content: dict[str, Any]) -> object:
        key = marshal.dumps(content, 2)
        if key not in self._known:
            try:
                self._known[key] = self._names_of(Protocol.model_validate(self._shared(content)))
            except ValidationError:
                return content  # the error is raised again for the result, which names the field
        return self._known[key]

    def _shared(self, value: Any) -> Any:
        if isinstance(value, str):
            return intern(value) if len(value) < 256 and type(value) is str else value
        if isinstance(value, dict):
            found: Any = {intern(key): self._shared(item) for key, item in value.items()}
            return self._once(found) if not any(isinstance(item, dict | list) for item in value.values()) else found
        if isinstance(value, list):
            return self._once([self._shared(item) for item in value])
        return value

    def _once(self, value: Any) -> Any:
        return self._known.setdefault(marshal.dumps(value, 2), value)  # tells 1, 1.0 and true apart
