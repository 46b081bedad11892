"""Merging several ablations into one report, provided that they were measured under the same protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from designspace.errors import DataError
from designspace.report.entry import Entry
from designspace.report.study import Study, comparable
from designspace.report.tables import caption
from designspace.results.lines import PointKey, point_key
from designspace.results.records import SCHEMA, Description, Failure, GridPoint, Result, Source
from designspace.text import MERGED, describe

R = TypeVar("R", Result, Failure)


@dataclass(frozen=True)
class Merged(Study):
    """The points of several studies. Claims are left out, because they belong to the separate reports."""

    parts: tuple[Study, ...] = ()

    @cached_property
    def about(self) -> Description:
        """A description whose slowest axis is the ablation, followed by the axes that all parts share.

        The values of all other axes appear only in the names of configurations.
        """
        first, *rest = (part.about for part in self.parts)
        return Description(
            schema=SCHEMA,
            name=self.folder.name,
            question=" ".join(dict.fromkeys(part.about.question for part in self.parts)),
            axes=[MERGED, *(axis for axis in first.axes if all(axis in other.axes for other in rest))],
            claims=[],
            metrics=[metric for metric in first.metrics if all(metric in other.metrics for other in rest)],
            points=[GridPoint(id=p.id, axes=_own(part, p.axes)) for part in self.parts for p in part.about.points],
        )

    @cached_property
    def failures(self) -> list[Failure]:
        """The failures of all parts."""
        return [_moved(part, failure) for part in self.parts for failure in part.failures]

    @property
    def sources(self) -> list[Source]:
        """The distinct publications behind the components of all parts."""
        return list({source.url: source for part in self.parts for source in part.sources}.values())

    @cached_property
    def _rows(self) -> dict[PointKey, Result]:
        rows = [_moved(part, row) for part in self.parts for row in part._rows.values()]
        return {point_key(row.id, row.axes): row for row in rows}

    def _artefact(self, id: str) -> dict[str, np.ndarray]:
        found = (part._artefact(id) for part in self.parts if id in part.ids)
        return next(filter(None, found), {})


def merge(studies: Sequence[Study], out: Path) -> Merged:
    """Merge studies into one, whose report is written to ``out/A+B``.

    Raises ``DataError`` if they share no metric that was measured under the same protocol, or if their budgets are
    different axes.
    """
    budgets = {study.about.name: study.column_axis for study in studies}
    if len(set(budgets.values())) > 1:
        words = ", ".join(f"{name} {axis or 'none'}" for name, axis in budgets.items())
        raise DataError(f"cannot be merged: their budgets are different axes ({words})")
    if len(budgets) < len(studies):
        raise DataError(f"cannot be merged: two of them are called {next(iter(budgets))}")
    whole = Merged(out / "+".join(budgets), studies[0].x, parts=tuple(studies))
    if not any(_share(whole, metric) for metric in whole.about.metrics):
        raise DataError(f"{' and '.join(budgets)} cannot be merged: {_why(whole)}")
    return whole


def _share(whole: Merged, metric: str) -> bool:
    groups = comparable(whole.entries, metric)
    return any(len({entry.axes[MERGED] for entry in group}) == len(whole.parts) for group in groups)


def _why(whole: Merged) -> str:
    if not whole.about.metrics:
        return "they have no metric in common"
    metric = whole.about.metrics[0]
    groups = comparable(whole.entries, metric)
    if len(groups) < 2:
        return "not all of them have results"
    if old := [_name(group) for group in groups if not group[0].record]:
        return f"an earlier version wrote the results of {old[0]} without their full protocol: run it again"
    each = "; ".join(f"{describe({MERGED: _name(group)})}: {caption.protocol(metric, group)}" for group in groups)
    return f"values of different {caption.differ(groups, metric)} cannot be compared ({each})"


def _name(group: Sequence[Entry]) -> str:
    return str(group[0].axes[MERGED])


def _moved(part: Study, row: R) -> R:
    return row.model_copy(update={"axes": _own(part, row.axes)})


def _own(part: Study, axes: dict[str, Any]) -> dict[str, Any]:
    return {MERGED: part.about.name, **axes}
