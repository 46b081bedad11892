"""Results: one line a finished point in ``results.jsonl``, appended and never changed."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from designspace.cache import Cache, content_key
from designspace.files import DamagedError, pack, storing, unpack, write_whole

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
LARGEST_ARTEFACT = 256_000
"""In bytes; larger artefacts stay in the cache, so that reports can be committed."""

Row = dict[str, Any]
PointKey = tuple[str, str]
"""A trial's id, and the point's axes as canonical JSON."""


def point_key(id: str, axes: Mapping[str, Any]) -> PointKey:
    """What identifies a line: two points of a grid may share a trial."""
    return id, json.dumps(plain(axes), sort_keys=True)


class Results:
    """The results of one ablation, in ``folder``; with ``only``, of some of its points."""

    def __init__(self, folder: Path, *, only: Collection[PointKey] | None = None, cache: Cache | None = None) -> None:
        self.folder, self._only, self._cache = Path(folder), only, cache or Cache()

    def rows(self) -> list[Row]:
        """The finished points. A line that cannot be read is skipped with a warning ``file:line``."""
        return list(self._read("results.jsonl").values())

    def done(self) -> set[PointKey]:
        """What need not be computed again."""
        return set(self._read("results.jsonl"))

    @property
    def failures(self) -> list[Row]:
        """The points that failed last time and have no result since."""
        done = {row["id"] for row in self.rows()}
        return [row for row in self._read("failures.jsonl").values() if row["id"] not in done]

    def append(self, row: Row) -> None:
        """Add a finished point, once: a point that is there stays as it is. Raises ``StorageError``."""
        path = self.folder / "results.jsonl"
        with self._cache.lock("results-" + content_key(str(self.folder.resolve()))):
            if point_key(row["id"], row["axes"]) not in self.done():
                _append_line(path, {"schema": SCHEMA, **row})

    def append_failure(self, row: Row) -> None:
        """Record that a point failed. Raises ``StorageError``."""
        with self._cache.lock("results-" + content_key(str(self.folder.resolve()))):
            _append_line(self.folder / "failures.jsonl", {"schema": SCHEMA, **row})

    def put_artefact(self, id: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep what belongs to a trial but not into its line. Raises ``StorageError``."""
        data = pack(f"artefacts/{id}", tensors)
        if len(data) <= LARGEST_ARTEFACT:
            write_whole(self._artefact(id), data)
        else:
            self._cache.put("artefacts", id, tensors)

    def artefact(self, id: str) -> dict[str, Tensor] | None:
        """The artefact of a trial, or ``None`` if it is not there or damaged (with a warning)."""
        try:
            return unpack(f"artefacts/{id}", self._artefact(id).read_bytes())
        except FileNotFoundError:
            return self._cache.get("artefacts", id)
        except (DamagedError, OSError) as error:
            warnings.warn(f"{self._artefact(id)}: damaged ({error})", stacklevel=2)
            return None

    @property
    def frame(self) -> pd.DataFrame:
        """One row a point: axes, id, seed, nfe (counted), images; ``<metric>``, ``<metric>_se``, ``<metric>_floor``.

        An axis called like one of these columns is given as ``axes.<name>``.
        """
        import pandas as pd  # here, because it takes long and most commands do without

        return pd.DataFrame([_flat(row) for row in self.rows()])

    def _artefact(self, id: str) -> Path:
        return self.folder / "artefacts" / f"{id}.safetensors"

    def _read(self, name: str) -> dict[PointKey, Row]:
        path, found = self.folder / name, {}
        lines = path.read_bytes().splitlines() if path.is_file() else []
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                if row["schema"] != SCHEMA:
                    raise ValueError(f"schema {row['schema']}, not {SCHEMA}")
                found[point_key(row["id"], row["axes"])] = row
            except (ValueError, KeyError, TypeError) as error:
                warnings.warn(f"{path}:{number}: not a result, skipped ({error})", stacklevel=4)
        return found if self._only is None else {key: row for key, row in found.items() if key in self._only}


def _append_line(path: Path, row: Row) -> None:
    """Add one line in one write. A line that a kill cut short is ended first; if the disk is full, nothing is added."""
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


def _flat(row: Row) -> Row:
    columns = {key: row.get(key) for key in ("id", "seed", "nfe", "images")}
    for name, metric in row["metrics"].items():
        columns[name] = _number(metric["value"])
        columns |= {f"{name}_{part}": _number(metric.get(part)) for part in ("se", "floor")}
    return {f"axes.{key}" if key in columns else key: value for key, value in row["axes"].items()} | columns


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
