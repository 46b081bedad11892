"""Files with one JSON object per line, which several processes may read and append to at the same time."""

from __future__ import annotations

import gc
import json
import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from sys import intern
from typing import Any, BinaryIO, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from designspace.errors import DataError, SkippedLineWarning
from designspace.results.encoded import EditedError, LineError, decoded, encoded
from designspace.results.records import SCHEMA, Failure, Result, plain
from designspace.results.shared import Shared
from designspace.storage.files import reading
from designspace.storage.locks import storing

R = TypeVar("R", Result, Failure)
PointKey = tuple[str, str]
"""A trial's id, and the point's axes as canonical JSON."""

_said: dict[Path, set[int]] = {}
"""The lines of each file that a warning has been issued for, so that each is reported once per process."""
LONGEST = 2**24
"""The largest size of a line in bytes."""
AGAIN = "Delete the line and run the ablation again, which takes the images from the cache"
MOST_SAID = 20
"""The largest number of warnings per file."""
KEPT = 4096
"""How many bytes at the end of the last line are compared to find out whether a file was replaced."""


def point_key(id: str, axes: Mapping[str, Any]) -> PointKey:
    """The key of a record. It includes the axes, because several points of a grid may share a trial."""
    return intern(str(id)), intern(json.dumps(plain(axes), sort_keys=True))


class Lines(Generic[R]):
    """The records of a file. Each call of ``read`` parses only the lines appended since the previous call."""

    def __init__(self, path: Path, record: type[R]) -> None:
        self._path = path
        self._record: type[R] = record
        self._inode, self._end, self._count, self._last = 0, 0, 0, b""
        self._found: dict[PointKey, R] = {}
        self._of_trial: dict[str, dict[PointKey, None]] | None = None
        self._shared = Shared()

    def read(self) -> dict[PointKey, R]:
        """The last valid record of each point. Invalid lines are skipped, with one warning each (``file:line``).

        Raises ``DataError`` if the file cannot be read.
        """
        try:
            mode = self._path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            self._begin_anew()
            return {}
        if not stat.S_ISREG(mode):  # reading a pipe would wait forever
            raise DataError(f"{self._path}: not a regular file")
        with reading(self._path), self._path.open("rb") as file, _collector_paused():
            return self._read(file)

    def of_trial(self, id: str) -> dict[PointKey, R]:
        """The records of one trial, which are looked up: their number does not depend on that of the others."""
        found = self.read()
        if self._of_trial is None:  # only runs need it
            self._of_trial = {}
            for key in found:
                self._of_trial.setdefault(key[0], {})[key] = None
        return {key: found[key] for key in self._of_trial.get(id, ()) if key in found}

    def _begin_anew(self, inode: int = 0) -> None:
        self._inode, self._end, self._count, self._last = inode, 0, 0, b""
        self._found, self._of_trial, self._shared = {}, None, Shared()

    def _read(self, file: BinaryIO) -> dict[PointKey, R]:
        if not self._is_known(file):
            self._begin_anew(os.fstat(file.fileno()).st_ino)
        file.seek(self._end)
        while (line := _next_line(file)).endswith(b"\n"):
            self._count += 1
            self._add(self._found, self._count, line)
            self._end, self._last = file.tell(), line[-KEPT:] if len(line) <= LONGEST else b"\n"
        if not line:
            return self._found
        found = dict(self._found)  # the last line may still grow, so it is read again
        self._add(found, self._count + 1, line)
        return found

    def _is_known(self, file: BinaryIO) -> bool:
        """Whether the file still holds the lines read so far: an editor or git may have replaced it."""
        file.seek(self._end - len(self._last))
        return os.fstat(file.fileno()).st_ino == self._inode and file.read(len(self._last)) == self._last

    def _add(self, found: dict[PointKey, R], number: int, line: bytes) -> None:
        if not line.strip():
            return
        try:
            if len(line) > LONGEST:
                raise LineError(f"longer than {LONGEST:,} bytes")
            record = self._shared.record(self._record, decoded(line))
        except EditedError as error:
            _warn(self._path, number, f"{error}; left out. {AGAIN}")
        except (LineError, ValidationError) as error:
            what = problem(error) if isinstance(error, ValidationError) else str(error)
            _warn(self._path, number, f"not a result, skipped ({what})")
        else:
            key = point_key(record.id, record.axes)
            found[key] = record
            if self._of_trial is not None:
                self._of_trial.setdefault(record.id, {})[key] = None


def _next_line(file: BinaryIO) -> bytes:
    """The next line; if it is longer than ``LONGEST``, only its beginning and its end."""
    line = file.readline(LONGEST + 1)
    while len(line) > LONGEST and not line.endswith(b"\n") and (more := file.readline(LONGEST)):
        line = line[:LONGEST] + more[-1:]
    return line


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
    line = encoded(record)
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
    return other_schema(error) or _in_words(error.errors(include_url=False)[0])


def other_schema(error: ValidationError) -> str:
    """What to do if the record was written by a version with another schema; empty if it was not."""
    errors = error.errors(include_url=False)
    given = (one["input"] for one in errors if one["loc"] == ("schema",) and one["type"] != "missing")
    return next(map(_other_schema, given), "")


def _in_words(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"] if part not in ("int", "float"))
    what = str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"]
    return f"no usable '{place}'" + ("" if error["type"] == "missing" else f": {what}") if place else what


def _other_schema(found: Any) -> str:
    later = isinstance(found, int) and found > SCHEMA
    what = "a later version: update designspace" if later else "an earlier version: run the ablation again"
    return f"schema {found!r} instead of {SCHEMA}, from {what}"
