"""A point of the grid together with its results."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from designspace.report import protocols
from designspace.report.trainings import Scatter, Series, TrainingRuns, network_of
from designspace.results.records import MetricValue, Result
from designspace.results.uncertainty import critical_value, interval
from designspace.text import config_name

BUDGET = ("nfe", "nfe_total", "num_steps")
"""Axes that limit the cost of a configuration; all other axes define the configuration itself."""
Count = Literal["nfe", "nfe_guidance", "nfe_total"]
"""The evaluations with the condition of each image, those that guidance adds, and both together."""
WORDS = {"nfe": "NFE", "nfe_guidance": "NFE of guidance", "nfe_total": "total NFE", "num_steps": "steps"}
"""The names of counts and budgets in tables."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A point of the grid, with one result per seed."""

    axes: dict[str, Any]
    rows: tuple[Result, ...]
    expected: int = 1
    """The number of seeds that the ablation asks for."""
    runs: TrainingRuns | None = None
    """The training runs of the ablation, among whose configurations the variation between runs is pooled."""

    @property
    def config(self) -> str:
        """The configuration apart from its budget: ``heun``, ``solver=heun, rho=7``."""
        return config_name({axis: value for axis, value in self.axes.items() if axis not in BUDGET})

    @property
    def nfe(self) -> float:
        """The counted evaluations per image, without those that guidance adds."""
        return self.spent("nfe")

    def spent(self, count: Count) -> float:
        """A count of evaluations per image, averaged over the seeds."""
        return statistics.fmean(getattr(row, count) for row in self.rows)

    @property
    def nfe_sd(self) -> float | None:
        """The standard deviation of the evaluations over the images, for an adaptive solver."""
        found = [row.nfe_sd for row in self.rows if row.nfe_sd is not None]
        return statistics.fmean(found) if found else None

    @property
    def unspent(self) -> bool:
        """Whether the counted evaluations differ from the budget, which not every solver can spend exactly."""
        used = self.spent(self.limited) if self.rows else 0.0
        return bool(self.rows) and used != self.axes.get(self.limited, used)

    @property
    def limited(self) -> Count:
        """The count that a budget limits."""
        return "nfe_total" if "nfe_total" in self.axes else "nfe"

    def images(self, metric: str) -> int:
        """The number of images per seed on which the metric was measured."""
        return images_in(self.rows[0], metric)

    @property
    def trials(self) -> tuple[str, ...]:
        """The ids of its trials. Points have the same ones if they differ only in what does not matter to them."""
        return tuple(row.id for row in self.rows)

    @property
    def seeds(self) -> dict[int, Result]:
        """The result of each seed."""
        return {row.seed: row for row in self.rows}

    def has(self, metric: str) -> bool:
        """Whether the metric was measured with every seed that has a result."""
        return bool(self.rows) and all(metric in row.metrics for row in self.rows)

    def value(self, metric: str) -> float:
        """The mean over the seeds; NaN or infinite if the value of any seed is."""
        return sum(value_in(row, metric) for row in self.rows) / len(
            self.rows
        )  # fmean fails for infinity of both signs

    def se(self, metric: str) -> float | None:
        """The standard error of the mean over the seeds, which includes the variation between repeated trainings."""
        own = se_of_mean([value_in(row, metric) for row in self.rows], [se_in(row, metric) for row in self.rows])
        return self.with_trainings(own, metric)

    def with_trainings(self, se: float | None, metric: str) -> float | None:
        """The standard error ``se`` of the images, raised to that of the variation between repeated trainings."""
        between = self.between_trainings(metric)
        return se if between is None else max(se or 0.0, math.sqrt(between.variance))

    def degrees(self, metric: str) -> float | None:
        """The degrees of freedom of the standard error; ``None`` if it comes from the images of each seed."""
        if between := self.between_trainings(metric):
            return between.degrees
        scattered = len(self.rows) > 1 and any(se_in(row, metric) is None for row in self.rows)
        return len(self.rows) - 1 if scattered else None

    def between_trainings(self, metric: str) -> Scatter | None:
        """The uncertainty from the variation between training runs; ``None`` unless training was repeated."""
        if self.runs is None or len(self.rows) < 2 or not self.trainings or not math.isfinite(self.value(metric)):
            return None
        return self.runs.scatter(metric, [(1.0, self.series(metric))])

    @cached_property
    def trainings(self) -> int | None:
        """The number of training runs over which values are averaged; ``None`` without a trained network."""
        return len({network_of(row) for row in self.rows} - {None}) or None

    def series(self, metric: str) -> Series:
        """The values of all seeds, with the networks that they were measured with."""
        group = tuple(self.axes.get(axis) for axis in BUDGET), self.protocol(metric)
        values = {row.seed: value_in(row, metric) for row in self.rows}
        return Series(group, values, {row.seed: network_of(row) for row in self.rows})

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The 95 % interval of the value, as figures show it; ``None`` without a standard error."""
        value, se = self.value(metric), self.se(metric)
        if se is None or not math.isfinite(value):
            return None
        return interval(value, se, self.skew(metric), critical_value(self.degrees(metric)))

    def skew(self, metric: str) -> float:
        """The skew of the mean over the seeds: see ``results.uncertainty.interval``."""
        skews = [row.metrics[metric].skew or 0.0 for row in self.rows]
        return statistics.fmean(skews) / len(skews)

    def spread(self, metric: str) -> float | None:
        """The standard deviation over the seeds, if there are several."""
        values = [value_in(row, metric) for row in self.rows]
        return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None

    def about(self, metric: str) -> MetricValue:
        """The metric's record for the first seed, for what all seeds share: protocol, direction, drawn reference."""
        return self.rows[0].metrics[metric]

    def drawn(self, metric: str) -> tuple[float, float] | None:
        """Mean and standard deviation of the drawn reference; ``None`` unless both are known and finite."""
        mean, sd = (number_in(self.rows[0], metric, which) for which in ("drawn", "drawn_sd"))
        return None if mean is None or sd is None else (mean, sd)

    def below_drawn(self, metric: str) -> float:
        """How far the value lies below the drawn reference; 0 if it does not, or if lower values are not better.

        Where higher values are better, the drawn reference is no bound: its duplicates lower recall and coverage.
        """
        return self.counted(metric) - self.value(metric)

    def counted(self, metric: str) -> float:
        """The value, or that of the drawn reference if the value lies below it: see ``below_drawn``."""
        value, drawn = self.value(metric), self.drawn(metric)
        return value if drawn is None or self.higher_is_better(metric) is not False else max(value, drawn[0])

    def higher_is_better(self, metric: str) -> bool | None:
        """Whether higher values are better; ``None`` if neither higher nor lower values are."""
        return self.about(metric).higher_is_better

    def trial(self, *path: str) -> Any:
        """A field of the resolved spec, or ``None`` if it has no such field."""
        found: Any = self.rows[0].trial
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    @property
    def precision(self) -> str:
        """The precision in which the network is evaluated, float32 without one."""
        field = "sampling_precision" if self.trial("denoiser", "name") == "trained" else "precision"
        return str(self.trial("denoiser", field) or "float32")

    @property
    def record(self) -> dict[str, Any]:
        """The full protocol of its distances; empty for results of earlier versions, which recorded none."""
        protocol = self.rows[0].protocol
        return protocol.plain() if protocol else {}

    @property
    def reference(self) -> str | None:
        """The name of the reference with which the images were compared."""
        name = self.trial("evaluate", "reference", "name") or self.trial("data", "name")
        return None if name is None else str(name)

    def protocol(self, metric: str) -> protocols.Key:
        """The protocol of the metric; the values of two entries may be compared if their protocols are equal."""
        if metric not in self._protocols:
            self._protocols[metric] = protocols.key(self.rows[0], metric, self.images(metric))
        return self._protocols[metric]

    @cached_property
    def _protocols(self) -> dict[str, protocols.Key]:
        return {}


def images_in(row: Result, metric: str) -> int:
    """The number of images on which a metric was measured; observations have their own."""
    own = row.metrics[metric].n if metric in row.metrics else None
    return row.images if own is None else own


def value_in(row: Result, metric: str) -> float:
    """The value of a metric, which may be NaN or infinite."""
    return row.metrics[metric].value


def se_in(row: Result, metric: str) -> float | None:
    """The standard error of a metric; ``None`` unless it is known and finite."""
    return _finite(row.metrics[metric].se)


def number_in(row: Result, metric: str, which: str) -> float | None:
    """A number in the record of a metric, such as ``drawn``; ``None`` unless it is known and finite."""
    return _finite(getattr(row.metrics[metric], which))


def converged_error(row: Result, metric: str) -> float | None:
    """The error of the converged solution that an observation compares with, which it records as its ``floor``."""
    return number_in(row, metric, "floor") if row.metrics[metric].n is not None else None


def se_of_mean(values: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """The standard error of the mean of independent values with their own standard errors.

    If the values scatter more than these errors explain, the result is computed from the scatter, like the scale factor
    of the Particle Data Group's averages: https://pdg.lbl.gov (Introduction, section 5.2).
    """
    known = [error for error in errors if error is not None]
    own = [math.sqrt(math.fsum(e**2 for e in known)) / len(known)] if len(known) == len(errors) else []
    finite = len(values) > 1 and all(map(math.isfinite, values))
    return max(own + ([statistics.stdev(values) / math.sqrt(len(values))] if finite else []), default=None)


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def precisions(entries: Sequence[Entry]) -> str:
    """``, networks evaluated in bf16``; empty if all are evaluated in float32."""
    names = sorted({entry.precision for entry in entries})
    return "" if names == ["float32"] else f", networks evaluated in {' or '.join(names)}"
