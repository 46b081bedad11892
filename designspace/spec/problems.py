"""Collecting the problems of a spec.

Every check in this package reports a ``Problem``: a function that cannot go on raises ``SpecError``, one that can
yields problems or adds them to ``Problems``. Code decides on a problem's ``kind``, never on its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from designspace.errors import DocPath, Kind, Problem, SpecError


class Problems(list[Problem]):
    """The problems found so far."""

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Suppress a ``SpecError`` raised inside the ``with`` block and collect its problems."""
        try:
            yield
        except SpecError as error:
            self.extend(error.problems)


def refusal(what: str, path: DocPath, kind: Kind = Kind.VALUE, *, key: bool = False) -> SpecError:
    """A ``SpecError`` with a single problem."""
    return SpecError([Problem(what, path, kind, key)])
