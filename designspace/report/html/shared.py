"""JSON in which equal parts stand once: thousands of resolved specs differ in a few fields."""

from __future__ import annotations

from typing import Any

from designspace.results.records import plain

SAFE = 2**53
"""Whole numbers beyond it are no JavaScript numbers."""


class Shared:
    """Objects, each distinct one once.

    What ``put`` gives stands for a value: a scalar for itself, ``[i]`` for the i-th object, ``[-1, ...]`` for a list,
    ``[-2, "..."]`` for a whole number that JavaScript would round. An object is the index of its keys and their values.
    """

    def __init__(self) -> None:
        self._keys: dict[tuple[str, ...], int] = {}
        self._objects: dict[str, int] = {}
        self._listed: list[list[Any]] = []

    def put(self, value: Any) -> Any:
        """What stands for the value."""
        if isinstance(value, dict):
            keys = self._keys.setdefault(tuple(map(str, value)), len(self._keys))
            return [self._place([keys, *map(self.put, value.values())])]
        if isinstance(value, list):
            return [-1, *map(self.put, value)]
        if isinstance(value, int) and abs(value) > SAFE:
            return [-2, str(value)]
        return plain(value)

    def parts(self) -> dict[str, Any]:
        """The keys of objects, and the objects."""
        return {"keys": [list(keys) for keys in self._keys], "objects": self._listed}

    def _place(self, node: list[Any]) -> int:
        found = self._objects.setdefault(repr(node), len(self._listed))  # equality takes 1, 1.0 and True for one
        if found == len(self._listed):
            self._listed.append(node)
        return found
