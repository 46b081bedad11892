"""The folder of an ablation's report: its description, its results and the arrays that belong to them."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from designspace.errors import DamagedError, DataError
from designspace.results.coordinates import reduced
from designspace.results.encoded import LineError, decoded
from designspace.results.lines import Lines, PointKey, append_line, other_schema, point_key, problem
from designspace.results.records import Description, Failure, Result, further_counts
from designspace.results.shared import Shared
from designspace.results.widened import unlike, widened
from designspace.storage.arrays import pack, unpack, whole
from designspace.storage.files import CacheFolder, reading, write_whole
from designspace.storage.locks import locked
from designspace.text import config_name

if TYPE_CHECKING:
    import pandas as pd

NAME = re.compile(r"[\w-]+")
"""The ids of trials whose artefacts are read."""
LARGEST_ARTEFACT = 256_000
"""Artefacts of more bytes are written to the cache, so that report folders stay small enough to commit."""


class Results:
    """The results of an ablation in ``folder``; ``only`` restricts them to some of its points."""

    def __init__(
        self, folder: Path, *, only: Collection[PointKey] | None = None, cache: CacheFolder | None = None
    ) -> None:
        self.folder, self.only, self._cache = Path(folder), only, cache or CacheFolder()
        self._results = Lines(self.folder / "results.jsonl", Result)
        self._failures = Lines(self.folder / "failures.jsonl", Failure)

    def rows(self) -> list[Result]:
        """One result per finished point. Invalid lines are skipped, with one warning each (``file:line``)."""
        return list(self.by_point().values())

    def by_point(self) -> dict[PointKey, Result]:
        """The results of ``rows`` with their keys."""
        return {key: row for key, row in self._results.read().items() if self._has(key)}

    def done(self) -> set[PointKey]:
        """The points that have a result."""
        return {key for key in self._results.read() if self._has(key)}

    def of_trial(self, id: str) -> list[Result]:
        """The results of the points that share a trial."""
        return [row for key, row in self._results.of_trial(id).items() if self._has(key)]

    def failures_of(self, id: str) -> list[Failure]:
        """Those of ``failures`` that are of one trial."""
        rows = [row for key, row in self._failures.of_trial(id).items() if self._has(key)]
        return [] if self.of_trial(id) else rows

    @property
    def failures(self) -> list[Failure]:
        """The points whose last attempt failed and whose trials have no result."""
        done = {row.id for row in self.rows()}
        return [row for key, row in self._failures.read().items() if self._has(key) and row.id not in done]

    def left_out(self) -> int:
        """The number of results of the folder that the report leaves out: of other settings, or of other versions."""
        return len(self._results.read().keys() - point_keys(read_description(self.folder)))

    def append(self, result: Result) -> None:
        """Add the result of a point unless the point already has one. Raises ``StorageError``."""
        with self._lock():
            if point_key(result.id, result.axes) not in self._results.read():
                append_line(self.folder / "results.jsonl", result.plain())

    def append_failure(self, failure: Failure) -> None:
        """Record that a point failed. Raises ``StorageError``."""
        with self._lock():
            append_line(self.folder / "failures.jsonl", failure.plain())

    def put_artefact(self, id: str, arrays: Mapping[str, Any]) -> None:
        """Write the arrays of a trial, which are too large for results.jsonl. Raises ``StorageError``."""
        data = pack(f"artefacts/{id}", {name: np.asarray(array) for name, array in arrays.items()})
        write_whole(self._artefact(id) if len(data) <= LARGEST_ARTEFACT else self._cache.path("artefacts", id), data)

    def artefact(self, id: str) -> dict[str, np.ndarray] | None:
        """The arrays of a trial, or ``None`` if they are absent or (with a warning) damaged."""
        if not NAME.fullmatch(id):  # in a file from elsewhere, it may be a path to another folder
            return None
        for path in (self._artefact(id), self._cache.path("artefacts", id)):
            try:
                return whole(unpack(f"artefacts/{id}", path.read_bytes()))
            except FileNotFoundError:
                continue
            except (DamagedError, OSError) as error:
                warnings.warn(f"{path}: damaged ({error})", stacklevel=2)
                return None
        return None

    def compact(self) -> None:
        """Make the artefacts of the folder about four times smaller, for results that are to be committed.

        The influences of images become coordinates, see ``results.coordinates``: all standard errors stay as they are,
        but differences from points that are added later, or that another folder has, count as unpaired. Toy data are
        kept in half precision.
        """
        seeds = {row.id: row.seed for row in self.rows()}
        groups: dict[int | None, dict[str, dict[str, np.ndarray]]] = {}
        for path in sorted((self.folder / "artefacts").glob("*.safetensors")):
            if (kept := self.artefact(path.stem)) is not None:
                groups.setdefault(seeds.get(path.stem), {})[path.stem] = kept
        for group in groups.values():
            for id, arrays in reduced(group).items():
                write_whole(self._artefact(id), pack(f"artefacts/{id}", arrays))

    @property
    def frame(self) -> pd.DataFrame:
        """One row per point and repeat, in the order in which they finished.

        - One column per axis. An axis whose name is that of another column becomes ``axes.<name>``: with an axis of
          budgets, ``axes.nfe`` is the budget and ``nfe`` what was counted.
        - ``label``: the name of the point, ``heun, nfe=35``.
        - ``id``: the id of the trial, the hash of its resolved spec. ``seed``: that of the latents and labels.
        - ``nfe``: counted evaluations of the denoiser per image. With guidance also ``nfe_guidance``, the evaluations
          that it adds, ``nfe_total``, the cost of both, and ``guidance_cost``, if another network guides; ``nfe_idle``,
          if some evaluations move nothing; ``nfe_search``, those that found measured time steps.
        - ``images``: the number n of generated images.
        - ``seconds``: the time of sampling, features and metrics when they were computed; NaN if it was not recorded.
        - For each metric, its value ``<metric>``, the standard error ``<metric>_se``, the value of n images drawn from
          the reference ``<metric>_drawn`` (NaN where they do not exist), the name of how it was measured
          ``<metric>_protocol`` and, if it was measured on another number of images, that number ``<metric>_n``.
        - ``protocol``: the hash of everything that two distances must share to be comparable.
        """
        import pandas as pd  # here, because most commands do not need it and the import is slow

        rows = self.rows()
        further = further_counts(rows)
        return pd.DataFrame([_columns(row, further) for row in rows])

    def claim(self, id: str) -> AbstractContextManager[bool]:
        """Claim a trial among all processes that write to this folder; yields whether no other one has claimed it."""
        return locked(self.folder / f".trial-{id}.lock", wait=False, keep=False)

    def _lock(self) -> AbstractContextManager[bool]:
        """The lock of both files, which is beside them because processes may have caches of their own."""
        return locked(self.folder / ".results.lock")

    def _has(self, key: PointKey) -> bool:
        return self.only is None or key in self.only

    def _artefact(self, id: str) -> Path:
        return self.folder / "artefacts" / f"{id}.safetensors"


def place_of(report: Path | str) -> Path:
    """The folder of a report: ``report`` itself or, if none is there, ``reports/report``, where runs write it."""
    given, named = Path(report), Path("reports") / report
    here, there = ((folder / "ablation.json").is_file() for folder in (given, named))
    return named if there and not here else given


def read_description(folder: Path) -> Description:
    """The file ablation.json of ``folder``. Raises ``DataError`` if it is absent or cannot be used."""
    path = folder / "ablation.json"
    with reading(path):
        text = path.read_bytes()
    try:
        return Shared().record(Description, decoded(text))
    except (LineError, ValidationError) as error:
        if isinstance(error, ValidationError) and (advice := other_schema(error)):
            raise DataError(f"{path}: {advice}") from error
        what = problem(error) if isinstance(error, ValidationError) else str(error)
        raise DataError(f"{path}: not the description of an ablation ({what}); run the ablation again") from error


def point_keys(description: Description) -> set[PointKey]:
    """The keys of the points of an ablation."""
    return {point_key(point.id, point.axes) for point in description.points}


def add_description(folder: Path, description: Description) -> str:
    """Write ablation.json, with the points of earlier runs of the same ablation (``results.widened``).

    Returns in what the folder's earlier ablation is another one, so that its points are left out; empty if it is not.
    Several processes may do this at the same time. Raises ``StorageError``.
    """
    path, why = folder / "ablation.json", ""
    with locked(folder / ".ablation.lock"):
        with suppress(DataError):  # there is none, or it is damaged
            earlier = read_description(folder)
            why = unlike(earlier, description)
            description = description if why else widened(earlier, description)
        text = json.dumps(description.plain(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if not path.is_file() or path.read_bytes() != text.encode():
            write_whole(path, text.encode())
    return why


def _columns(row: Result, further: Sequence[str]) -> dict[str, Any]:
    columns: dict[str, Any] = {"label": config_name(row.axes)}
    columns |= {key: getattr(row, key) for key in ("id", "seed", "nfe", *further, "images")}
    columns["seconds"] = math.nan if row.seconds is None else math.fsum(row.seconds.values())
    for name, metric in row.metrics.items():
        columns[name] = metric.value
        columns[f"{name}_se"] = math.nan if metric.se is None else metric.se
        columns[f"{name}_drawn"] = math.nan if metric.drawn is None else metric.drawn
        columns[f"{name}_protocol"] = metric.protocol
        columns |= {} if metric.n is None else {f"{name}_n": metric.n}
    columns["protocol"] = row.protocol.hash if row.protocol else None
    return {f"axes.{key}" if key in columns else key: value for key, value in row.axes.items()} | columns
