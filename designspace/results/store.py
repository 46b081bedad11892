"""Results: one line a finished point in ``results.jsonl``, appended and never changed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from designspace.errors import DamagedError
from designspace.results.lines import SCHEMA as SCHEMA
from designspace.results.lines import Lines, append_line, no_failure, problem
from designspace.results.lines import PointKey as PointKey
from designspace.results.lines import Row as Row
from designspace.results.lines import plain as plain
from designspace.results.lines import point_key as point_key
from designspace.storage.cache import Cache, content_key
from designspace.storage.files import write_whole
from designspace.storage.tensors import pack, unpack

if TYPE_CHECKING:
    import pandas as pd

LARGEST_ARTEFACT = 256_000
"""In bytes; larger artefacts stay in the cache, so that reports can be committed."""


class Results:
    """The results of one ablation, in ``folder``; with ``only``, of some of its points."""

    def __init__(self, folder: Path, *, only: Collection[PointKey] | None = None, cache: Cache | None = None) -> None:
        self.folder, self._only, self._cache = Path(folder), only, cache or Cache()
        rules = {"results.jsonl": problem, "failures.jsonl": no_failure}
        self._files = {name: Lines(self.folder / name, wrong) for name, wrong in rules.items()}

    def rows(self) -> list[Row]:
        """The finished points. A line that is not a result is skipped with a warning ``file:line``, given once."""
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
        with self._cache.lock("results-" + content_key(str(self.folder.resolve()))):
            if point_key(row["id"], row["axes"]) not in self._files["results.jsonl"].read():
                append_line(self.folder / "results.jsonl", {"schema": SCHEMA, **row})

    def append_failure(self, row: Row) -> None:
        """Record that a point failed. Raises ``StorageError``."""
        with self._cache.lock("results-" + content_key(str(self.folder.resolve()))):
            append_line(self.folder / "failures.jsonl", {"schema": SCHEMA, **row})

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
        """One row a point: axes, id, seed, nfe (counted), images; of each metric value, error, floor and protocol.

        The columns of a metric are ``<metric>``, ``<metric>_se``, ``<metric>_floor``, ``<metric>_protocol``;
        ``protocol`` is the hash of all that distances were measured by. An axis called like one of these columns is
        given as ``axes.<name>``.
        """
        import pandas as pd  # here, because it takes long and most commands do without

        return pd.DataFrame([_flat(row) for row in self.rows()])

    def _artefact(self, id: str) -> Path:
        return self.folder / "artefacts" / f"{id}.safetensors"

    def _read(self, name: str) -> dict[PointKey, Row]:
        found = self._files[name].read()
        return found if self._only is None else {key: row for key, row in found.items() if key in self._only}


def _flat(row: Row) -> Row:
    columns = {key: row.get(key) for key in ("id", "seed", "nfe", "images")}
    for name, metric in row["metrics"].items():
        columns[name] = _number(metric["value"])
        columns |= {f"{name}_{part}": _number(metric.get(part)) for part in ("se", "floor")}
        columns[f"{name}_protocol"] = metric["protocol"]
    columns["protocol"] = (row.get("protocol") or {}).get("hash")
    return {f"axes.{key}" if key in columns else key: value for key, value in row["axes"].items()} | columns


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
