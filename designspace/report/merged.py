"""Several ablations as one, where the same protocol measured them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from designspace.errors import DataError
from designspace.report.entry import Row
from designspace.report.study import Study, comparable
from designspace.report.tables import caption
from designspace.results.lines import SCHEMA
from designspace.results.store import PointKey, point_key
from designspace.text import MERGED, describe


@dataclass(frozen=True)
class Merged(Study):
    """The points of several studies. Claims stay with the ablations that make them."""

    parts: tuple[Study, ...] = ()

    @cached_property
    def about(self) -> Row:
        """As of an ablation whose slowest axis is the ablation; axes that only some have are in the names alone."""
        first, *rest = self.parts
        axes = [axis for axis in first.about["axes"] if all(axis in part.about["axes"] for part in rest)]
        common = [m for m in first.about["metrics"] if all(m in part.about["metrics"] for part in rest)]
        points = [point | {"axes": _own(part, point["axes"])} for part in self.parts for point in part.about["points"]]
        question = " ".join(dict.fromkeys(part.about["question"] for part in self.parts))
        about = {"schema": SCHEMA, "name": self.folder.name, "question": question, "axes": [MERGED, *axes]}
        return about | {"claims": [], "metrics": common, "points": points}

    @cached_property
    def failures(self) -> list[Row]:
        """Of all."""
        return [row | {"axes": _own(part, row["axes"])} for part in self.parts for row in part.failures]

    @cached_property
    def _rows(self) -> dict[PointKey, Row]:
        rows = [row | {"axes": _own(part, row["axes"])} for part in self.parts for row in part._rows.values()]
        return {point_key(row["id"], row["axes"]): row for row in rows}

    def _artefact(self, id: str) -> dict[str, np.ndarray]:
        found = (part._artefact(id) for part in self.parts if id in part.ids)
        return next(filter(None, found), {})


def merge(studies: Sequence[Study], out: Path) -> Merged:
    """The studies as one, whose report goes to ``out/A+B``.

    Raises ``DataError`` if they have no metric in common that one protocol measured, or cost is counted differently.
    """
    costs = {study.about["name"]: study.column_axis for study in studies}
    if len(set(costs.values())) > 1:
        words = ", ".join(f"{name} {axis or 'none'}" for name, axis in costs.items())
        raise DataError(f"cannot be merged: the axes of their cost differ ({words})")
    if len(costs) < len(studies):
        raise DataError(f"cannot be merged: two of them are called {next(iter(costs))}")
    whole = Merged(out / "+".join(costs), tuple(studies))
    if not any(_share(whole, metric) for metric in whole.about["metrics"]):
        raise DataError(f"{' and '.join(costs)} cannot be merged: {_why(whole)}")
    return whole


def _share(whole: Merged, metric: str) -> bool:
    groups = comparable(whole.entries, metric)
    return any(len({entry.axes[MERGED] for entry in group}) == len(whole.parts) for group in groups)


def _why(whole: Merged) -> str:
    if not whole.about["metrics"]:
        return "they have no metric in common"
    metric = whole.about["metrics"][0]
    groups = comparable(whole.entries, metric)
    if len(groups) < 2:
        return "not all of them have results"
    if old := [str(group[0].axes[MERGED]) for group in groups if not group[0].record]:
        return f"results of {old[0]} do not record all of their protocol, an earlier version wrote them: run it again"
    each = "; ".join(f"{describe({MERGED: g[0].axes[MERGED]})}: {caption.protocol(metric, g)}" for g in groups)
    return f"values of different {caption.differ(groups, metric)} cannot be compared ({each})"


def _own(part: Study, axes: Row) -> Row:
    return {MERGED: part.about["name"], **axes}
