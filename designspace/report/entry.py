"""A point of the grid with what was measured at it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from designspace.report import protocols
from designspace.results.lines import Row as Row
from designspace.results.lines import problem as problem
from designspace.text import config_name

BUDGET = ("nfe", "num_steps")
"""Axes that say how much a configuration may cost; all others say what it is."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A point of the grid, with a row for each seed that it was computed with."""

    axes: dict[str, Any]
    rows: tuple[Row, ...]
    expected: int = 1
    """The number of seeds that it is to be computed with."""

    @property
    def config(self) -> str:
        """What it is, apart from its cost: ``heun``, ``solver=heun, rho=7``."""
        return config_name({axis: value for axis, value in self.axes.items() if axis not in BUDGET})

    @property
    def nfe(self) -> float:
        """Counted evaluations."""
        return statistics.fmean(row["nfe"] for row in self.rows)

    @property
    def nfe_sd(self) -> float | None:
        """Their standard deviation over the images, if an adaptive solver took more for some."""
        found = [row["nfe_sd"] for row in self.rows if isinstance(row.get("nfe_sd"), int | float)]
        return statistics.fmean(found) if found else None

    def images(self, metric: str) -> int:
        """The number of images of each seed that the metric was measured on."""
        return images_in(self.rows[0], metric)

    @property
    def seeds(self) -> dict[int, Row]:
        """The row of each seed."""
        return {row["seed"]: row for row in self.rows}

    def has(self, metric: str) -> bool:
        """Whether the metric was measured."""
        return bool(self.rows) and all(metric in row["metrics"] for row in self.rows)

    def value(self, metric: str) -> float:
        """The mean over the seeds; NaN or infinite where the samples were."""
        return statistics.fmean(value_in(row, metric) for row in self.rows)

    def se(self, metric: str) -> float | None:
        """The standard error of the mean over the seeds."""
        return se_of_mean([value_in(row, metric) for row in self.rows], [se_in(row, metric) for row in self.rows])

    def scattered(self, metric: str) -> int | None:
        """The number of seeds, if their scatter is all that the standard error is known from."""
        return len(self.rows) if any(se_in(row, metric) is None for row in self.rows) else None

    def spread(self, metric: str) -> float | None:
        """The standard deviation over the seeds, if there are several."""
        values = [value_in(row, metric) for row in self.rows]
        return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None

    def about(self, metric: str) -> Row:
        """Protocol and floor."""
        return dict(self.rows[0]["metrics"][metric])

    def higher_is_better(self, metric: str) -> bool | None:
        """Whether higher values are better; ``None`` if neither are."""
        higher = self.about(metric).get("higher_is_better", False)
        return None if higher is None else bool(higher)

    def trial(self, *path: str) -> Any:
        """A field of the resolved spec, ``None`` if there is none."""
        found: Any = self.rows[0].get("trial")
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    @property
    def record(self) -> Row:
        """All of the protocol that its distances were measured by; empty for lines of earlier versions."""
        return protocols.recorded(self.rows[0])

    @property
    def reference(self) -> str | None:
        """The name of what it was compared with."""
        name = self.trial("evaluate", "reference", "name") or self.trial("data", "name")
        return None if name is None else str(name)

    def protocol(self, metric: str) -> protocols.Key:
        """Values may be compared if this is equal."""
        return protocols.key(self.rows[0], metric, self.images(metric))


def images_in(row: Row, metric: str) -> int:
    """The images that a metric was measured on: a diagnostic says so itself, all others are measured on all."""
    own = row["metrics"].get(metric, {}).get("n")
    return own if isinstance(own, int) else int(row["images"])


def value_in(row: Row, metric: str) -> float:
    """A metric's value; NaN is null in the file, and infinity a string."""
    return _number(row["metrics"][metric].get("value"), math.nan)


def se_in(row: Row, metric: str) -> float | None:
    """Its standard error, if it has one."""
    se = _number(row["metrics"][metric].get("se"), math.nan)
    return se if math.isfinite(se) else None


def floor_in(row: Row, metric: str, which: str = "floor") -> float | None:
    """Its floor, if there is one; or another number beside it, as what images ``drawn`` from the reference score."""
    floor = _number(row["metrics"][metric].get(which), math.nan)
    return floor if math.isfinite(floor) else None


def se_of_mean(values: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """The standard error of the mean of independent values that have standard errors.

    Where the values scatter more than their errors explain, the scatter counts: the scale factor of the Particle Data
    Group's averages, https://pdg.lbl.gov (Introduction, section 5.2).
    """
    known = [error for error in errors if error is not None]
    own = [math.sqrt(math.fsum(e**2 for e in known)) / len(known)] if len(known) == len(errors) else []
    finite = len(values) > 1 and all(map(math.isfinite, values))
    return max(own + ([statistics.stdev(values) / math.sqrt(len(values))] if finite else []), default=None)


def _number(value: Any, default: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return default
