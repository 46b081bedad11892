"""Measure a trial's features against the reference's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from designspace.errors import first_of
from designspace.evaluation.measure import Measured, Sample, Summary
from designspace.evaluation.moments import check_widths, table
from designspace.evaluation.rows import Detector, Metric, Observation

Row = dict[str, Any]
Floor = Callable[[Metric], tuple[float, int] | None]


def measure(
    metrics: Sequence[Metric], detector: Detector, generated: Sample, reference: Sample, floor: Floor
) -> dict[str, tuple[Row, Measured]]:
    """Each metric of the features: its value with standard error, protocol and floor as plain data, and all of it.

    Raises ``ValueError`` for features that give no distance, as ``check`` does, and for too few images.
    """
    check(generated, reference)
    _enough(metrics, generated, "generated")
    if not isinstance(reference, Summary):
        _enough(metrics, reference, "in the reference")
    found = {}
    for metric in metrics:
        measured = metric.measure(generated, reference)
        low, size = floor(metric) or (None, None)
        row: Row = {"value": measured.value, "se": measured.se, "protocol": metric.called(detector.protocol())}
        row |= {"higher_is_better": metric.higher_is_better, "floor": low, "floor_n": size} | measured.extra
        found[metric.name] = (row, measured)
    return found


def check(generated: Sample, reference: Sample) -> None:
    """Raises ``ValueError``, naming images by number, unless both have finite features of one width that vary.

    Generated images may be all the same, as after one step of Euler's method: that is a distance, and a warning.
    """
    _finite(generated.features, "generated images")
    if isinstance(reference, Summary):
        check_widths(generated.features.shape[1], reference.moments.d)
        return
    _finite(reference.features, "images of the reference")
    check_widths(generated.features.shape[1], reference.features.shape[1])
    if _constant(reference.features):
        same = f"all {len(reference)} images of the reference have the same features"
        raise ValueError(f"{same}: the images are all alike, or the detector does not see them")
    if _constant(generated.features):
        warnings.warn(f"all {len(generated)} generated images have the same features", stacklevel=3)


def _enough(metrics: Sequence[Metric], sample: Sample, where: str) -> None:
    for metric in metrics:
        if len(sample) < metric.least:
            raise ValueError(f"metric {metric} takes at least {metric.least} images, not {len(sample)} {where}")


def _finite(features: Tensor, what: str) -> None:
    n, _ = table(features)
    broken = (~features.isfinite().all(1)).nonzero().flatten().tolist()
    if broken:
        raise ValueError(f"{len(broken)} of {n} {what} have features that are not finite ({first_of(broken)})")


def _constant(features: Tensor) -> bool:
    return len(features) > 1 and bool((features == features[0]).all())


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
