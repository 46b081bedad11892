"""Measure a trial's features against the reference's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from designspace.evaluation.measure import Measured, Sample
from designspace.rows import Detector, Diagnostic, Metric

Row = dict[str, Any]
Floor = Callable[[Metric], tuple[float, int] | None]


def measure(
    metrics: Sequence[Metric], detector: Detector, generated: Sample, reference: Sample, floor: Floor
) -> dict[str, tuple[Row, Measured]]:
    """Each metric of the features: its value with standard error, protocol and floor as plain data, and all of it."""
    found = {}
    for metric in metrics:
        measured = metric.measure(generated, reference)
        low, size = floor(metric) or (None, None)
        about = {"protocol": protocol(metric, detector), "floor": low, "floor_n": size}
        row: Row = {"value": measured.value, "se": measured.se, **about, **measured.extra}
        found[metric.name] = (row, measured)
    return found


def diagnosis(metric: Diagnostic, measured: Measured) -> Row:
    """What a diagnostic has found as plain data; its protocol is itself: no features and no reference go into it."""
    row: Row = {"value": measured.value, "se": measured.se, "protocol": str(metric), "n": metric.images}
    row |= measured.extra
    if measured.floor is not None:
        row["floor"] = measured.floor
    if measured.profile is not None:
        sigma, value = (column.tolist() for column in measured.profile)
        row["profile"] = {"sigma": sigma, "value": value, "of": metric.profile_of}
    return row


def protocol(metric: Metric, detector: Detector) -> str:
    """What the number is called: two numbers may stand in one table only if this is the same."""
    frechet = detector.protocol()
    features = f"inception{frechet[3:]}" if frechet.startswith("FID") else frechet.removeprefix("FD-")
    return frechet if metric.name == "frechet" else f"{metric.name.upper()}-{features}"
