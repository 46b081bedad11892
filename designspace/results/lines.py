"""Files with one JSON object a line, which several processes append to and read at the same time."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from designspace.storage.files import storing

SCHEMA = 1
NEEDED = {"id": str, "axes": dict, "seed": int, "nfe": int | float, "images": int, "metrics": dict}

FRECHET = ("frechet", "fid_infinity")
"""Metrics that take more images than there are features, by name: who reads lines knows no component."""

Row = dict[str, Any]
PointKey = tuple[str, str]
"""A trial's id, and the point's axes as canonical JSON."""

_said: dict[Path, set[int]] = {}
"""Lines that cannot be used, of which it has been warned: once a process."""
MOST_SAID = 20
"""Of a file."""


def point_key(id: str, axes: Mapping[str, Any]) -> PointKey:
    """What identifies a line: two points of a grid may share a trial."""
    return id, json.dumps(plain(axes), sort_keys=True)


def problem(row: Row) -> str:
    """Why a row is not a result, for a run that resumes and for a report alike; empty if it is one."""
    for key, kind in NEEDED.items():
        if not isinstance(row.get(key), kind):
            return f"no usable '{key}'"
    bad = [axis for axis, value in row["axes"].items() if not isinstance(value, str | int | float)]
    if bad:
        return f"axis '{bad[0]}' has no plain value"
    about = row["metrics"].values()
    usable = all(isinstance(m, dict) and isinstance(m.get("protocol"), str) and "value" in m for m in about)
    return "" if usable else "a metric without value or protocol"


def no_failure(row: Row) -> str:
    """Why a row is not a failure; empty if it is one."""
    usable = isinstance(row.get("axes"), dict) and all(isinstance(row.get(key), str) for key in ("id", "error"))
    return "" if usable else "no usable 'id', 'axes' or 'error'"


class Lines:
    """The rows of a file. What was read once is not read again: only what has been appended since."""

    def __init__(self, path: Path, wrong: Callable[[Row], str]) -> None:
        self._path, self._wrong = path, wrong
        self._inode, self._end, self._count, self._last = 0, 0, 0, b""
        self._found: dict[PointKey, Row] = {}

    def read(self) -> dict[PointKey, Row]:
        """The usable rows by point, the last of each; others are skipped with a warning ``file:line``, given once."""
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
            for number, line in enumerate(lines, self._count + 1):
                self._add(self._found, number, line)
            self._end, self._count, self._last = self._end + len(whole) + 1, self._count + len(lines), lines[-1]
        if not rest:
            return self._found
        found = dict(self._found)  # the last line may still grow: it is read again
        self._add(found, self._count + 1, rest)
        return found

    def _begin_anew(self, inode: int = 0) -> None:
        self._inode, self._end, self._count, self._last, self._found = inode, 0, 0, b"", {}

    def _is_known(self, file: BinaryIO) -> bool:
        """Whether what was read is still there: an editor or git may have written another file."""
        last = self._last + b"\n" if self._end else b""
        file.seek(self._end - len(last))
        return os.fstat(file.fileno()).st_ino == self._inode and file.read(len(last)) == last

    def _add(self, found: dict[PointKey, Row], number: int, line: bytes) -> None:
        try:
            row = json.loads(line)
            if row["schema"] != SCHEMA:
                raise ValueError(other_schema(row["schema"]))
            if wrong := self._wrong(row):
                raise ValueError(wrong)
            found[point_key(row["id"], row["axes"])] = row
        except (ValueError, KeyError, TypeError) as error:
            _say(self._path, number, f"not a result, skipped ({error})")


def other_schema(found: Any) -> str:
    """What to do with a file that another version wrote."""
    later = isinstance(found, int) and found > SCHEMA
    what = "of a later version: update designspace" if later else "of an earlier version: run the ablation again"
    return f"schema {found!r}, not {SCHEMA}, {what}"


def _say(path: Path, number: int, what: str) -> None:
    said = _said.setdefault(path, set())
    if number not in said and len(said) <= MOST_SAID:
        said.add(number)
        text = f"{path}:{number}: {what}"
        warnings.warn(text if len(said) <= MOST_SAID else f"{text}; no more are listed", stacklevel=6)


def append_line(path: Path, row: Row) -> None:
    """Add one line in one write. A line that a kill cut short is ended first; if the disk is full, nothing is added.

    Raises ``StorageError``.
    """
    line = json.dumps(plain(row), allow_nan=False, ensure_ascii=False).encode() + b"\n"
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                line = b"\n" + line
            try:
                written = file.write(line) or 0
                if written < len(line):  # the disk is full: the next write says so
                    file.write(line[written:])
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(size)
                raise


def plain(value: Any) -> Any:
    """JSON has no infinity and no NaN: ``inf`` as a string, as in a spec, and null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
