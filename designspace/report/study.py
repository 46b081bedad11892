"""The results of one ablation, arranged by the points of its grid."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from designspace.report.entry import BUDGET, WORDS, Count, Entry, images_in
from designspace.report.protocols import equally_recorded
from designspace.report.trainings import Series, TrainingRuns, network_of
from designspace.results.coordinates import per_image, span
from designspace.results.lines import PointKey, point_key
from designspace.results.records import Description, Failure, Result, Source
from designspace.results.search import SearchRecord, read_search
from designspace.results.sources import sources_of
from designspace.results.store import Results, read_description

MOST_ARTEFACTS = 2000
"""The largest number of artefacts that are kept in memory, each of at most 256 kB unless it is in the cache."""


@dataclass(frozen=True)
class Study:
    """An ablation, read from the folder of its results."""

    folder: Path
    x: Count | None = None
    """The count of evaluations on the x axes of figures; by default ``nfe_total`` if there is guidance, or ``nfe``."""
    only: Collection[PointKey] | None = None
    """The points of the study; by default all of the ablation."""

    @cached_property
    def guided(self) -> bool:
        """Whether guidance adds evaluations to those of any point."""
        return any(row.nfe_guidance for entry in self.entries for row in entry.rows)

    @property
    def counts(self) -> list[Count]:
        """The counts of evaluations that tables show."""
        return ["nfe", "nfe_total"] if self.guided else ["nfe"]

    @property
    def count(self) -> Count:
        """The count of evaluations that figures show, and by which tables tell whether costs are equal."""
        return self.x or ("nfe_total" if self.guided else "nfe")

    @cached_property
    def about(self) -> Description:
        """The name, question, axes, metrics, claims and expected points of the ablation. Raises ``DataError``."""
        about = read_description(self.folder)
        if self.only is None:
            return about
        points = [point for point in about.points if point_key(point.id, point.axes) in self.only]
        return about.model_copy(update={"points": points})

    @cached_property
    def search(self) -> SearchRecord | None:
        """The search whose final test this is; ``None`` for other ablations. Raises ``DataError``."""
        return read_search(self.folder)

    @cached_property
    def results(self) -> Results:
        """The results of these points; the file may hold others, of other settings or versions."""
        return Results(self.folder, only=set(self._keys))

    @cached_property
    def entries(self) -> list[Entry]:
        """The points with results, in the order of the grid."""
        return [entry for entry in self.points if entry.rows]

    @cached_property
    def points(self) -> list[Entry]:
        """All points of the grid, in order; the ``rows`` of points without results are empty."""
        same: dict[str, list[PointKey]] = {}
        for key in self._keys:
            same.setdefault(key[1], []).append(key)
        rows, runs = self._rows, TrainingRuns(self.series)
        return [
            Entry(self._keys[keys[0]], tuple(rows[key] for key in keys if key in rows), len(keys), runs)
            for keys in same.values()
        ]

    def series(self, metric: str) -> list[Series]:
        """The finite values of a metric at all points, for each seed."""
        known = (entry for entry in self.entries if entry.has(metric) and math.isfinite(entry.value(metric)))
        return [entry.series(metric) for entry in known]

    @cached_property
    def failures(self) -> list[Failure]:
        """The points whose last attempt failed and that have no result."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reading the entries already warns about damaged lines
            return self.results.failures

    @property
    def waiting(self) -> bool:
        """Whether some points have neither a result nor a failure."""
        return any(len(p.rows) < p.expected and not self.failed(p) for p in self.points)

    def word(self, entry: Entry) -> str:
        """The word that tables show in place of a missing value."""
        return "failed" if self.failed(entry) else "missing"

    def failed(self, entry: Entry) -> bool:
        """Whether the last attempt to compute the point failed."""
        return point_key("", entry.axes)[1] in self._failed

    @property
    def column_axis(self) -> str | None:
        """The axis of the budget, if the ablation has one."""
        return next((axis for axis in BUDGET if axis in self.about.axes), None)

    @property
    def budget_word(self) -> str:
        """What the budget limits: ``NFE``, ``total NFE`` or ``steps``; empty without a budget."""
        return WORDS.get(self.column_axis or "", "")

    def budget(self, entry: Entry) -> object:
        """The budget of a point, which determines its column in a table."""
        return entry.axes.get(self.column_axis or "")

    def influence(self, row: Result, metric: str) -> np.ndarray | None:
        """The influence of each image on the metric, ``[n]``; ``None`` if it was not kept or cannot be used."""
        return self._per_image("influence", row, metric)

    def pairs(self, row: Result, metric: str) -> np.ndarray | None:
        """The second-order influence of pairs of images on the metric, ``[n]``; ``None`` as for ``influence``."""
        return self._per_image("pairs", row, metric)

    def span(self, row: Result) -> bytes:
        """What two trials must have in common for their influences to be combined: ``results.coordinates``."""
        return span(self._artefact(row.id))

    def _per_image(self, what: str, row: Result, metric: str) -> np.ndarray | None:
        return per_image(self._artefact(row.id), f"{what}.{metric}", images_in(row, metric))

    def images(self, row: Result) -> np.ndarray | None:
        """The first images, uint8 ``[k, C, H, W]``; ``None`` if they were not kept or cannot be drawn."""
        kept = self._artefact(row.id).get("images")
        usable = kept is not None and kept.ndim == 4 and kept.dtype == np.uint8 and kept.shape[1] in (1, 3)
        return kept if usable else None

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of the trials that have results."""
        return frozenset(id for id, _ in self._rows)

    @property
    def sources(self) -> list[Source]:
        """The distinct publications behind the components of the trials that have results."""
        return sources_of((row.trial for row in self._rows.values()), self.about.sources)

    def plane(self, row: Result) -> dict[str, np.ndarray]:
        """Trajectories and densities in the plane of time and sample; empty unless the data are one-dimensional."""
        return self._within("plane.", row)

    def points_of(self, row: Result) -> dict[str, np.ndarray]:
        """Samples and data as points of the plane, with their labels; empty unless samples are two numbers."""
        return self._within("points.", row)

    def _within(self, prefix: str, row: Result) -> dict[str, np.ndarray]:
        kept = self._artefact(row.id)
        return {name.removeprefix(prefix): array for name, array in kept.items() if name.startswith(prefix)}

    @cached_property
    def kept(self) -> dict[Hashable, Any]:
        """What was computed of this study and is needed more than once, such as rankings."""
        return {}

    @cached_property
    def _artefacts(self) -> dict[str, dict[str, np.ndarray]]:
        return {}

    def _artefact(self, id: str) -> dict[str, np.ndarray]:
        if id not in self._artefacts:  # kept, because a report compares each point with several others
            if len(self._artefacts) >= MOST_ARTEFACTS:
                del self._artefacts[next(iter(self._artefacts))]  # the oldest one
            self._artefacts[id] = self.results.artefact(id) or {}
        return self._artefacts[id]

    @cached_property
    def _keys(self) -> dict[PointKey, dict[str, Any]]:
        return {point_key(point.id, point.axes): point.axes for point in self.about.points}

    @cached_property
    def _failed(self) -> set[str]:
        return {point_key("", failure.axes)[1] for failure in self.failures}

    @cached_property
    def _rows(self) -> dict[PointKey, Result]:
        return equally_recorded(self.results.by_point())


def budgets(study: Study, points: Sequence[Entry]) -> list[object]:
    """The distinct budgets of the points, in ascending order or, if some are names, in grid order."""
    found = list(dict.fromkeys(study.budget(point) for point in points))
    numbers = [budget for budget in found if isinstance(budget, int | float)]
    return [*sorted(numbers)] if len(numbers) == len(found) else found


def comparable(entries: Sequence[Entry], metric: str) -> list[list[Entry]]:
    """The entries that have the metric, grouped by protocol; only values within a group may be compared."""
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        if entry.has(metric):
            groups.setdefault(entry.protocol(metric), []).append(entry)
    return list(groups.values())


def rivals(entries: Sequence[Entry], metric: str) -> list[list[Entry]]:
    """The comparable entries, networks apart from exact denoisers and before them; only points of a group are ranked.

    An exact denoiser has no error of its own. It is better than any network, which says nothing about the other
    choices, and these are averaged and tested separately for both.
    """
    groups: dict[tuple[int, bool], list[Entry]] = {}
    for i, group in enumerate(comparable(entries, metric)):
        for entry in group:
            groups.setdefault((i, not learned(entry)), []).append(entry)
    return [group for _, group in sorted(groups.items(), key=lambda item: item[0])]


def learned(entry: Entry) -> bool:
    """Whether the denoiser of a point is a network, rather than one that knows the distribution of the data."""
    return network_of(entry.rows[0]) is not None
