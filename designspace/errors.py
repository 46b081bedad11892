"""The errors that users see."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterable, Sequence
from enum import StrEnum, auto
from pathlib import Path
from typing import NamedTuple

from designspace.text import clean, first_of, one_line


class DataError(Exception):
    """A file that is missing, unreadable or has the wrong content; the message names it and says what to do."""

    at: tuple[str | int, ...] = ()
    """The fields of the component that lead to the one that names the file."""

    def within(self, key: str | int) -> None:
        """Add that ``key`` leads to the component or value that raised the error."""
        self.at = (key, *self.at)


class WithheldError(DataError):
    """Code of the user that is needed and not executed, because the caller asked for a check without code."""


class PluginError(ImportError):
    """An installed package with components cannot be imported; the message names it."""


class NotFiniteError(FloatingPointError):
    """Some samples are not finite; ``images`` holds the indices of all of them, the message lists the first few.

    ``origin`` says where the first value that is not finite appeared.
    """

    def __init__(self, images: Sequence[int], of: range, origin: str) -> None:
        self.images = list(images)
        super().__init__(
            f"{len(images)} of the images {of.start} to {of.stop - 1} are not finite ({first_of(images)}): {origin}. "
            "No metric is computed, because leaving these images out would change its value"
        )


class WorkerError(RuntimeError):
    """Workers cannot be started, or cannot work."""


class StorageError(Exception):
    """A file cannot be written, for instance because the disk is full; the message names the file."""


class SkippedLineWarning(UserWarning):
    """A line of a file of results cannot be used; the message names the file and the line."""


class SharedCacheWarning(UserWarning):
    """Other users may change the cache; the message names the folder."""


class IdleWarning(UserWarning):
    """Evaluations move nothing, because noise levels fall together."""


class FewImagesWarning(UserWarning):
    """Fréchet distances are too high, because images are few for the number of features."""


class DamagedError(Exception):
    """A file of tensors does not have the content that was written."""


class RowError(ValueError):
    """A row of a design cannot do what is asked of it; ``row`` is its name, for instance ``time_steps``."""

    def __init__(self, row: str, what: str) -> None:
        super().__init__(row, what)
        self.row, self.what = row, what

    def __str__(self) -> str:
        return self.what


class BrokenRowError(RowError):
    """A row returns something wrong, as no correct row does, however many steps are asked for."""


class UnmetRowError(BrokenRowError):
    """A component returns something other than its row requires; ``what`` says it without the name of the component."""

    def __init__(self, row: str, name: str, what: str) -> None:
        super().__init__(row, what)
        self.args, self.name = (row, name, what), name

    def __str__(self) -> str:
        return f"{self.row} '{self.name}': {self.what}"


class Place(NamedTuple):
    """A position in a file, or, with line 0, a source without lines such as a command-line option."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Kind(StrEnum):
    """The kind of a problem with a spec. Code branches on the kind; the message is for people."""

    UNREADABLE = auto()
    """A file that cannot be read or is not YAML."""
    UNKNOWN_FIELD = auto()
    """A name that no field has."""
    UNKNOWN_COMPONENT = auto()
    """A name that no component has."""
    MISSING = auto()
    """A required field that is not given."""
    VALUE = auto()
    """A value that the field does not accept."""
    USER_CODE = auto()
    """Code of the user that fails: a file or module that cannot be imported, or a component that raises."""
    FILE = auto()
    """A file that a component needs and that is missing or unsuitable."""
    SAMPLING = auto()
    """A design that cannot be sampled from with this number of steps or evaluations."""
    UNMATCHED = auto()
    """An axis or a value of an axis that no point of the grid has."""
    UNMEASURED = auto()
    """A metric that no trial can measure."""
    PARTLY_UNMEASURED = auto()
    """A warning: a metric that some trials cannot measure."""
    NO_EFFECT = auto()
    """A warning: a value that changes nothing."""
    UNCHECKED = auto()
    """A warning: a component of the user's that takes too long to be checked."""
    WITHHELD = auto()
    """A warning: something that is not checked, because it needs code that is not executed."""
    UNEXPLAINED = auto()
    """A warning: a claim that names a budget without saying why, or says why without naming one."""
    TOO_FEW = auto()
    """A claim along an axis that has too few values for it."""
    LEFT_OUT = auto()
    """A warning: claims about values of an axis that ``--set`` has removed."""
    UNSPENT = auto()
    """A warning: a budget of evaluations that a solver cannot spend in full."""
    IDLE = auto()
    """A warning: evaluations that move nothing."""
    CAUTION = auto()
    """A warning: something about the files of a denoiser that users may not know."""
    FEW_REPEATS = auto()
    """A warning: repeats that are too few for intervals of use."""
    FEW_IMAGES = auto()
    """A warning: images that are too few for the metric that decides the races of a search."""

    @property
    def is_warning(self) -> bool:
        """Whether the spec can be used nevertheless."""
        return self in _WARNINGS


_WARNINGS = {
    *(Kind.PARTLY_UNMEASURED, Kind.NO_EFFECT, Kind.UNCHECKED, Kind.WITHHELD, Kind.LEFT_OUT),
    *(Kind.UNEXPLAINED, Kind.UNSPENT, Kind.IDLE, Kind.CAUTION, Kind.FEW_REPEATS, Kind.FEW_IMAGES),
}

DocPath = tuple[str | int, ...]
"""The keys and list positions that lead to a value: ``("grid", "solver", 1)``."""


def dotted(path: Iterable[str | int]) -> str:
    """A path as text: ``grid.solver.1``."""
    return ".".join(map(str, path))


class Problem(NamedTuple):
    """An error or a warning about a spec: its message, kind and location."""

    what: str
    path: DocPath = ()
    kind: Kind = Kind.VALUE
    key: bool = False
    """Whether the key at ``path`` is wrong rather than its value."""
    place: Place | None = None
    """Where in a file the value stands; ``None`` for a spec that was made in Python."""

    def __str__(self) -> str:
        where = "" if self.place and not self.place.line else dotted(self.path)
        return ": ".join(part for part in (str(self.place or ""), where, self.what) if part)


class SpecError(ValueError):
    """A spec cannot be used; lists every problem that was found in it.

    Attributes:
        problems: The problems, in the order in which they appear in the file.
        lines: One line per problem, ``file:line:column: where: what``.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(dict.fromkeys(problems), key=lambda p: p.place[1:] if p.place else (0, 0))
        self.lines = list(dict.fromkeys(map(str, self.problems)))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def brief(error: BaseException) -> str:
    """The type and message of an error on one line: ``NameError: name 'x' is not defined``.

    The message of a ``RowError`` says enough without its type.
    """
    text = str(error) if isinstance(error, RowError) else f"{type(error).__name__}: {error}"
    return one_line(clean(text)).removesuffix(":")


def warn(what: str, category: type[Warning] = UserWarning) -> None:
    """Warn of the line outside of this package that led here, such as the call of ``ds.run``."""
    package, level, frame = str(Path(__file__).parent), 2, sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith((package, contextlib.__file__)):
        frame, level = frame.f_back, level + 1
    warnings.warn(what, category, stacklevel=level)
