"""Sharing equal parts of records, because thousands of results differ only in a few numbers."""

from __future__ import annotations

import marshal
from sys import intern
from typing import Any, TypeVar

from pydantic import ValidationError

from designspace.results.records import Protocol, Record

R = TypeVar("R", bound=Record)
PARTS = ("provenance", "sigmas")
"""The fields of a result that are often equal to those of others, or parts of which are."""


class Shared:
    """Keeps one copy of equal objects, lists and texts. What it returns must not be changed."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._names: dict[frozenset[str], set[str]] = {}

    def record(self, kind: type[R], content: dict[str, Any]) -> R:
        """The record with this content, which shares parts with earlier ones. Raises ``ValidationError``."""
        content |= {name: self._shared(content[name]) for name in PARTS if name in content}
        content |= {name: self._named(content[name]) for name in ("trial", "axes") if name in content}
        if isinstance(id := content.get("id"), str):
            content["id"] = intern(id)
        if isinstance(protocol := content.get("protocol"), dict):
            content["protocol"] = self._protocol(protocol)
        record = self._names_of(kind.model_validate(content))
        for part in record.parts():
            self._names_of(part)
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

    def _named(self, value: Any) -> Any:
        """An object that is itself not shared, because no other one is equal to it."""
        if not isinstance(value, dict):
            return value
        return {intern(key): self._shared(item) for key, item in value.items()}

    def _shared(self, value: Any) -> Any:
        if isinstance(value, str):
            return intern(value) if len(value) < 256 else value
        if isinstance(value, dict):
            return self._once(self._named(value), [*value])
        return self._once([self._shared(item) for item in value], []) if isinstance(value, list) else value

    def _once(self, found: Any, names: list[str]) -> Any:
        """The first of equal objects or lists. Those inside it are known, so that their addresses tell them apart."""
        inside = found.values() if isinstance(found, dict) else found
        short = [(id(item),) if isinstance(item, dict | list) else item for item in inside]
        return self._known.setdefault(marshal.dumps([names, short], 2), found)  # tells 1, 1.0 and true apart
