"""The results of one ablation as the report sees them: configurations, evaluations, values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from designspace.report.description import description
from designspace.report.entry import BUDGET, Entry, Row, images_in, problem
from designspace.report.protocols import equally_recorded
from designspace.results.store import PointKey, Results, point_key


@dataclass(frozen=True)
class Study:
    """An ablation and what is known of it."""

    folder: Path

    @cached_property
    def about(self) -> Row:
        """Name, question, axes, metrics, claims and expected points. Raises ``DataError``."""
        return description(self.folder)

    @cached_property
    def results(self) -> Results:
        """The rows of the points that the ablation has now; other rows may be there from earlier versions of it."""
        return Results(self.folder, only=set(self._keys))

    @cached_property
    def entries(self) -> list[Entry]:
        """The points with results, in the order of the grid."""
        return [entry for entry in self.points if entry.rows]

    @cached_property
    def points(self) -> list[Entry]:
        """All points of the grid, in its order; those without results have no rows."""
        same: dict[str, dict[PointKey, Row]] = {}
        for key, axes in self._keys.items():
            same.setdefault(key[1], {})[key] = axes
        rows = self._rows
        return [
            Entry(next(iter(keys.values())), tuple(rows[key] for key in keys if key in rows), len(keys))
            for keys in same.values()
        ]

    @cached_property
    def failures(self) -> list[Row]:
        """What failed and has no result since."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # entries warn of damaged lines, once
            return self.results.failures

    @property
    def waiting(self) -> bool:
        """Whether points have neither a result nor failed."""
        return any(len(p.rows) < p.expected and self.word(p) == "missing" for p in self.points)

    def word(self, entry: Entry) -> str:
        """What stands where a value should be."""
        return "failed" if point_key("", entry.axes)[1] in self._failed else "missing"

    @property
    def column_axis(self) -> str | None:
        """The axis of the cost, if the ablation has one."""
        return next((axis for axis in BUDGET if axis in self.about["axes"]), None)

    def budget(self, entry: Entry) -> object:
        """What the point may cost: the column of a table that it stands in."""
        return entry.axes.get(self.column_axis or "")

    def influence(self, row: Row, metric: str) -> np.ndarray | None:
        """What each image adds to the metric, ``[n]``; ``None`` if it was not kept or is not what it should be."""
        kept = self._artefact(row["id"]).get(f"influence.{metric}")
        whole = kept is not None and kept.shape == (images_in(row, metric),) and np.isfinite(kept).all()
        return kept.astype(np.float64) if whole and kept is not None else None

    def images(self, row: Row) -> np.ndarray | None:
        """The first images, uint8 ``[k, C, H, W]``."""
        kept = self._artefact(row["id"]).get("images")
        usable = kept is not None and kept.ndim == 4 and kept.dtype == np.uint8 and kept.shape[1] in (1, 3)
        return kept if usable else None

    @cached_property
    def ids(self) -> frozenset[str]:
        """The trials that have results."""
        return frozenset(id for id, _ in self._rows)

    def plane(self, row: Row) -> dict[str, np.ndarray]:
        """Curves and densities in the plane of time and sample; empty for data of more than one number."""
        kept = self._artefact(row["id"])
        return {name.removeprefix("plane."): array for name, array in kept.items() if name.startswith("plane.")}

    @cached_property
    def _artefacts(self) -> dict[str, dict[str, np.ndarray]]:
        return {}

    def _artefact(self, id: str) -> dict[str, np.ndarray]:
        if id not in self._artefacts:  # a report compares each with several others
            kept = self.results.artefact(id) or {}
            self._artefacts[id] = {name: np.asarray(tensor.numpy()) for name, tensor in kept.items()}
        return self._artefacts[id]

    @cached_property
    def _keys(self) -> dict[PointKey, Row]:
        return {point_key(point["id"], point["axes"]): point["axes"] for point in self.about["points"]}

    @cached_property
    def _failed(self) -> set[str]:
        return {point_key("", row["axes"])[1] for row in self.failures}

    @cached_property
    def _rows(self) -> dict[PointKey, Row]:
        found = {}
        for row in self.results.rows():
            if wrong := problem(row):
                warnings.warn(f"{self.folder / 'results.jsonl'}: {row['id']}: {wrong}, skipped", stacklevel=2)
            else:
                found[point_key(row["id"], row["axes"])] = row
        return equally_recorded(found)


def budgets(study: Study, points: Sequence[Entry]) -> list[object]:
    """The budgets of the points, each once, the lowest first; if some have names, in the order of the grid."""
    found = list(dict.fromkeys(study.budget(point) for point in points))
    numbers = [budget for budget in found if isinstance(budget, int | float)]
    return [*sorted(numbers)] if len(numbers) == len(found) else found


def comparable(entries: Sequence[Entry], metric: str) -> list[list[Entry]]:
    """The entries that have the metric, in groups whose values may be compared."""
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        if entry.has(metric):
            groups.setdefault(entry.protocol(metric), []).append(entry)
    return list(groups.values())
