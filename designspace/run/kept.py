"""A memory of one value, for what is expensive to load and large to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The last value made, kept while the next one asked for has the same key."""

    def __init__(self) -> None:
        self._key: object = None
        self._value: T | None = None

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The value for ``key``; the old one is let go before a new one is made."""
        if self._value is None or self._key != key:
            self._value = None
            self._key, self._value = key, make()
        return self._value
