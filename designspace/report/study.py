"""The results of one ablation as the report sees them: configurations, evaluations, values."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from designspace.store import Results, point_key

BUDGET = ("nfe", "num_steps")
"""Axes that say how much a configuration may cost; all others say what it is."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A point of the grid, with a row for each seed that it was computed with."""

    axes: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def config(self) -> str:
        """What it is, apart from its cost: ``heun``, ``heun, rho=7``."""
        named = {axis: value for axis, value in self.axes.items() if axis not in BUDGET}
        if len(named) == 1:
            return str(next(iter(named.values())))
        return ", ".join(f"{axis}={value}" for axis, value in named.items()) or "baseline"

    @property
    def nfe(self) -> float:
        """Counted evaluations."""
        return statistics.fmean(row["nfe"] for row in self.rows)

    @property
    def images(self) -> int:
        """The number of images of each seed."""
        return int(self.rows[0]["images"])

    def values(self, metric: str) -> list[float]:
        """One value a seed."""
        return [float(row["metrics"][metric]["value"]) for row in self.rows]

    def value(self, metric: str) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.values(metric))

    def se(self, metric: str) -> float | None:
        """The standard error: over several seeds from their spread, of one seed that of the row."""
        values = self.values(metric)
        if len(values) > 1:
            return statistics.stdev(values) / math.sqrt(len(values))
        se = self.rows[0]["metrics"][metric]["se"]
        return None if se is None else float(se)

    def about(self, metric: str) -> Row:
        """Protocol and floor."""
        return dict(self.rows[0]["metrics"][metric])

    def protocol(self, metric: str) -> tuple[str, int, int]:
        """Entries may stand in one table if this is equal: the protocol, the images, the number of seeds."""
        return self.about(metric)["protocol"], self.images, len(self.rows)


@dataclass(frozen=True)
class Study:
    """An ablation and what is known of it."""

    folder: Path

    @cached_property
    def about(self) -> Row:
        """Name, question, axes, claims and expected points."""
        return dict(json.loads((self.folder / "ablation.json").read_text("utf-8")))

    @cached_property
    def results(self) -> Results:
        """The rows of the points that the ablation has now; other rows may be there from earlier versions of it."""
        expected = {point_key(point["id"], point["axes"]) for point in self.about["points"]}
        return Results(self.folder, only=expected)

    @cached_property
    def entries(self) -> list[Entry]:
        """The finished points, in the order of the grid."""
        rows = {point_key(row["id"], row["axes"]): row for row in self.results.rows()}
        found: dict[str, list[Row]] = {}
        for point in self.about["points"]:
            key = point_key(point["id"], point["axes"])
            if key in rows:
                found.setdefault(key[1], []).append(rows[key])
        return [Entry(of[0]["axes"], tuple(of)) for of in found.values()]

    @cached_property
    def missing(self) -> list[Row]:
        """The axes of the points that are not finished."""
        done = self.results.done()
        return [p["axes"] for p in self.about["points"] if point_key(p["id"], p["axes"]) not in done]

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the order asked for."""
        return list(self.about["metrics"])

    @property
    def column_axis(self) -> str | None:
        """The axis of the cost, if the ablation has one."""
        return next((axis for axis in BUDGET if axis in self.about["axes"]), None)

    @property
    def configs(self) -> list[str]:
        """The configurations, in the order of the grid."""
        return list(dict.fromkeys(entry.config for entry in self.entries))

    def select(self, axes: Row) -> list[Entry]:
        """The entries that have these values."""
        return [entry for entry in self.entries if axes.items() <= entry.axes.items()]

    def influence(self, entry: Entry, metric: str) -> list[np.ndarray] | None:
        """What each image adds to the metric, an array a seed; ``None`` if it was not kept."""
        arrays = []
        for row in entry.rows:
            kept = (self.results.artefact(row["id"]) or {}).get(f"influence.{metric}")
            if kept is None or len(kept) != row["images"]:
                return None
            arrays.append(kept.double().numpy())
        return arrays

    def images(self, entry: Entry) -> np.ndarray | None:
        """The first images of an entry, uint8 ``[k, C, H, W]``."""
        kept = (self.results.artefact(entry.rows[0]["id"]) or {}).get("images")
        return None if kept is None else np.asarray(kept.numpy())


def protocols(entries: Sequence[Entry], metric: str) -> list[list[Entry]]:
    """The entries in groups that may be compared: of one protocol, one number of images, one number of seeds."""
    groups: dict[tuple[str, int, int], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.protocol(metric), []).append(entry)
    return list(groups.values())
