"""Files with one JSON object per line, which several processes may read and append to at the same time."""

from __future__ import annotations

import gc
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from designspace.errors import SkippedLineWarning
from designspace.results.records import SCHEMA, Failure, Result, plain
from designspace.storage.files import storing

R = TypeVar("R", Result, Failure)
PointKey = tuple[str, str]
"""A trial's id, and the point's axes as canonical JSON."""

_said: dict[Path, set[int]] = {}
"""The lines of each file that a warning has been issued for, so that each is reported once per process."""
MOST_SAID = 20
"""The largest number of warnings per file."""


def point_key(id: str, axes: Mapping[str, Any]) -> PointKey:
    """The key of a record. It includes the axes, because several points of a grid may share a trial."""
    return id, json.dumps(plain(axes), sort_keys=True)


class Lines(Generic[R]):
    """The records of a file. Each call of ``read`` parses only the lines appended since the previous call."""

    def __init__(self, path: Path, record: type[R]) -> None:
        self._path = path
        self._record: type[R] = record
        self._inode, self._end, self._count, self._last = 0, 0, 0, b""
        self._found: dict[PointKey, R] = {}
        self._of_trial: dict[str, dict[PointKey, None]] = {}

    def read(self) -> dict[PointKey, R]:
        """The last valid record of each point. Invalid lines are skipped, with one warning each (``file:line``)."""
        try:
            with self._path.open("rb") as file:
                if not self._is_known(file):
                    self._begin_anew(os.fstat(file.fileno()).st_ino)
                file.seek(self._end)
                whole, newline, rest = file.read().rpartition(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            self._begin_anew()
            return {}
        if newline:
            lines = whole.split(b"\n")
            with _collector_paused():
                for number, line in enumerate(lines, self._count + 1):
                    self._add(self._found, number, line)
            self._end, self._count, self._last = self._end + len(whole) + 1, self._count + len(lines), lines[-1]
        if not rest:
            return self._found
        found = dict(self._found)  # the last line may still grow, so it is read again
        self._add(found, self._count + 1, rest)
        return found

    def of_trial(self, id: str) -> dict[PointKey, R]:
        """The records of one trial, which are looked up: their number does not depend on that of the others."""
        found = self.read()
        return {key: found[key] for key in self._of_trial.get(id, ()) if key in found}

    def _begin_anew(self, inode: int = 0) -> None:
        self._inode, self._end, self._count, self._last = inode, 0, 0, b""
        self._found, self._of_trial = {}, {}

    def _is_known(self, file: BinaryIO) -> bool:
        """Whether the file still holds the lines read so far: an editor or git may have replaced it."""
        last = self._last + b"\n" if self._end else b""
        file.seek(self._end - len(last))
        return os.fstat(file.fileno()).st_ino == self._inode and file.read(len(last)) == last

    def _add(self, found: dict[PointKey, R], number: int, line: bytes) -> None:
        try:
            record = self._record.model_validate_json(line)
        except ValidationError as error:
            _warn(self._path, number, f"not a result, skipped ({problem(error)})")
        else:
            key = point_key(record.id, record.axes)
            found[key] = record
            self._of_trial.setdefault(record.id, {})[key] = None


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: reading creates many long-lived objects, and scanning them took most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one line in a single write, after a newline if the last line is incomplete because a process was killed.

    Raises ``StorageError``; if the disk is full, nothing is added.
    """
    line = json.dumps(plain(record), allow_nan=False, ensure_ascii=False).encode() + b"\n"
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                line = b"\n" + line
            try:
                written = file.write(line) or 0
                if written < len(line):  # the disk is full: the next write raises
                    file.write(line[written:])
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(size)
                raise


def _warn(path: Path, number: int, what: str) -> None:
    said = _said.setdefault(path, set())
    if number not in said and len(said) <= MOST_SAID:
        said.add(number)
        text = f"{path}:{number}: {what}"
        text = text if len(said) <= MOST_SAID else f"{text}; no more are listed"
        warnings.warn(text, SkippedLineWarning, stacklevel=6)


def problem(error: ValidationError) -> str:
    """The first problem of a record, on one line; that of another schema takes precedence."""
    errors = error.errors(include_url=False)
    for one in errors:
        if one["loc"] == ("schema",) and one["type"] != "missing":
            return _other_schema(one["input"])
    return _in_words(errors[0])


def _in_words(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    place = ".".join(str(part) for part in error["loc"] if part not in ("int", "float"))
    return f"no usable '{place}'" if place else error["msg"]


def _other_schema(found: Any) -> str:
    later = isinstance(found, int) and found > SCHEMA
    what = "a later version: update designspace" if later else "an earlier version: run the ablation again"
    return f"schema {found!r} instead of {SCHEMA}, from {what}"
