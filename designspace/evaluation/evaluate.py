"""Measure a trial's features against the reference's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from designspace.evaluation.measure import Measured, Sample
from designspace.rows import Detector, Metric, Observation

Row = dict[str, Any]
Floor = Callable[[Metric], tuple[float, int]]


def measure(
    metrics: Sequence[Metric], detector: Detector, generated: Sample, reference: Sample, floor: Floor
) -> dict[str, tuple[Row, Measured]]:
    """Each metric of the features: its value with standard error, protocol and floor as plain data, and all of it."""
    found = {}
    for metric in metrics:
        measured = metric.measure(generated, reference)
        low, size = floor(metric)
        row: Row = {"value": measured.value, "se": measured.se, "protocol": metric.called(detector.protocol())}
        row |= {"higher_is_better": metric.higher_is_better, "floor": low, "floor_n": size} | measured.extra
        found[metric.name] = (row, measured)
    return found


def observation(metric: Observation, measured: Measured) -> Row:
    """What was observed as plain data; its protocol is the metric itself: no features and no reference go into it."""
    row: Row = {"value": measured.value, "se": measured.se, "protocol": str(metric), "n": metric.images}
    row |= {"higher_is_better": metric.higher_is_better} | measured.extra
    if measured.floor is not None:
        row["floor"] = measured.floor
    if measured.profile is not None:
        columns = {name: column.tolist() for name, column in measured.profile.columns().items()}
        row["profile"] = columns | {"of": metric.profile_of}
    return row
