"""Measure a trial's features against the reference's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from designspace.evaluation.measure import Sample
from designspace.rows import Detector, Metric

Floor = Callable[[Metric], tuple[float, int]]


def measure(
    metrics: Sequence[Metric], detector: Detector, generated: Sample, reference: Sample, floor: Floor
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Each metric's value, standard error, protocol and floor as plain data; and each image's influence on it."""
    values: dict[str, Any] = {}
    influence: dict[str, Tensor] = {}
    for metric in metrics:
        measured = metric.measure(generated, reference)
        low, size = floor(metric)
        values[metric.name] = {
            "value": measured.value,
            "se": measured.se,
            "protocol": protocol(metric, detector),
            "floor": low,
            "floor_n": size,
            **measured.extra,
        }
        if measured.influence is not None:
            influence[f"influence.{metric.name}"] = measured.influence
    return values, influence


def protocol(metric: Metric, detector: Detector) -> str:
    """What the number is called: two numbers may stand in one table only if this is the same."""
    frechet = detector.protocol()
    features = frechet.removeprefix("FD-") if frechet != "FID" else "inception"
    return frechet if metric.name == "frechet" else f"{metric.name.upper()}-{features}"
