"""What users see as errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

NAMED = 10
"""Images that a message names by number."""


class DataError(Exception):
    """A file that is missing, unreadable or not what it should be; the message names it and says what to do."""


class NotFiniteError(FloatingPointError):
    """Samples that are not finite; ``images`` are the numbers of all, the message names the first."""

    def __init__(self, images: Sequence[int], of: range) -> None:
        self.images = list(images)
        super().__init__(
            f"{len(images)} of the images {of.start} to {of.stop - 1} are not finite ({first_of(images)}): the sampler "
            "diverged; the others alone would give another distance, so there is none"
        )


def first_of(images: Sequence[int]) -> str:
    """``3, 17, 40, ...``: the numbers of some images, for a message."""
    return ", ".join(map(str, images[:NAMED])) + (", ..." if len(images) > NAMED else "")


class StorageError(Exception):
    """A file cannot be written: the disk is full or the place is not writable. The message names it."""


class DamagedError(Exception):
    """A file of tensors is not what was written."""


class Place(NamedTuple):
    """A character of a file; or, with line 0, a source without lines: an option of the command line."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Problem(NamedTuple):
    """One thing that is wrong, and where."""

    place: Place | None
    where: str
    what: str

    def __str__(self) -> str:
        return ": ".join(str(part) for part in self if part)


class SpecError(ValueError):
    """A spec that cannot be used. ``lines`` has one ``file:line:column: where: what`` for each thing that is wrong."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(dict.fromkeys(problems), key=lambda p: p.place[1:] if p.place else (0, 0))
        self.lines = list(dict.fromkeys(map(str, self.problems)))
        super().__init__("\n".join(self.lines))


def brief(error: BaseException) -> str:
    """``NameError: name 'x' is not defined``, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
