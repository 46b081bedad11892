"""From features to results: every metric with its error bar, its reference values and its protocol."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from designspace.data.images import UINT8
from designspace.data.rows import Data
from designspace.evaluation.boundary import drawn_of, measured, protocol_of, value_of
from designspace.evaluation.measure import Draw, Measured, PartlyKnown, Sample, Summary
from designspace.evaluation.moments import check_widths, table
from designspace.evaluation.rows import Detector, Metric, Observation, Reference
from designspace.results.records import DRAWS, MetricValue, Protocol
from designspace.sampling.noise import generator
from designspace.storage.files import content_key
from designspace.text import first_of

Floor = Callable[[Metric], tuple[float, int] | None]
"""Returns the floor of a metric and the number of images it was measured with, or ``None`` if there is none."""
Drawn = Callable[[Metric], tuple[float, float] | None]
"""Returns mean and standard deviation of a metric over draws from the reference, or ``None`` if there are none."""
DIGITS = 12
"""The number of hexadecimal digits of a protocol's hash that are recorded."""


def measure(
    metrics: Sequence[Metric],
    detector: Detector,
    generated: Sample,
    reference: Sample,
    floor: Floor | None = None,
    drawn: Drawn | None = None,
) -> dict[str, tuple[MetricValue, Measured]]:
    """Evaluate every metric on the features of the generated images.

    Returns, by the metric's name, the value with its standard error, protocol, floor and the value of draws from the
    reference, and the metric's full result.
    Raises ``ValueError`` if there are too few images for a metric, or if ``check`` rejects the features.
    """
    check(generated, reference)
    _enough(metrics, generated, "generated")
    if not isinstance(reference, Summary):
        _enough(metrics, reference, "in the reference")
    found, name = {}, protocol_of(detector)
    for metric in metrics:
        of_draws, sd = (drawn and drawn(metric)) or (None, None)  # first: its pass over the reference serves both
        found_by = measured(metric, generated, reference)
        low, size = (floor and floor(metric)) or (None, None)
        extra: dict[str, Any] = dict(found_by.extra)
        value = MetricValue(
            value=found_by.value,
            se=found_by.se,
            protocol=metric.called(name),
            higher_is_better=metric.higher_is_better,
            floor=low,
            floor_n=size,
            drawn=of_draws,
            drawn_sd=sd,
            **extra,
        )
        found[metric.name] = value, found_by
    return found


def check(generated: Sample, reference: Sample) -> None:
    """Check that both samples have finite features of the same dimension, and that those of the reference vary.

    Raises ``ValueError`` otherwise; the message lists the images with features that are not finite. Identical generated
    images, such as those after a single Euler step, have a well-defined distance and only cause a warning.
    """
    _finite(generated.features, "generated images")
    if isinstance(reference, Summary):
        check_widths(generated.features.shape[1], reference.moments.d)
        return
    _finite(reference.features, "images of the reference")
    check_widths(generated.features.shape[1], reference.features.shape[1])
    if _constant(reference.features):
        same = f"all {len(reference)} images of the reference have the same features"
        raise ValueError(f"{same}: the images are identical, or the detector cannot tell them apart")
    if _constant(generated.features):
        warnings.warn(f"all {len(generated)} generated images have the same features", stacklevel=3)


def _enough(metrics: Sequence[Metric], sample: Sample, where: str) -> None:
    for metric in metrics:
        if len(sample) < metric.least:
            raise ValueError(f"metric {metric} needs at least {metric.least} images, not {len(sample)} {where}")


def _finite(features: Tensor, what: str) -> None:
    n, _ = table(features)
    broken = (~features.isfinite().all(1)).nonzero().flatten().tolist()
    if broken:
        raise ValueError(f"{len(broken)} of {n} {what} have features that are not finite ({first_of(broken)})")


def _constant(features: Tensor) -> bool:
    return len(features) > 1 and bool((features == features[0]).all())


def observation(metric: Observation, found: Measured) -> MetricValue:
    """The result of an ``Observation`` for the line of results.

    It depends on neither features nor a reference, so the metric with its fields is the whole protocol.
    """
    optional: dict[str, Any] = dict(found.extra)
    if found.floor is not None:
        optional["floor"] = found.floor
    if found.profile is not None:
        columns = {name: column.tolist() for name, column in found.profile.columns().items()}
        optional["profile"] = columns | {"of": metric.profile_of}
    return MetricValue(
        value=found.value,
        se=found.se,
        protocol=str(metric),
        n=metric.images,
        higher_is_better=metric.higher_is_better,
        **optional,
    )


def floor(metric: Metric, reference: Sample, n: int) -> tuple[float, int]:
    """The metric between two random halves of the reference, and their size n' = min(n, N // 2).

    The halves depend only on N and n. If n' < n, the floor of a biased metric is higher than it would be for n images.
    Raises ``ValueError`` if the halves are too small for the metric.
    """
    size = min(n, len(reference) // 2)
    if size < metric.least:
        text = f"a reference of {len(reference)} images cannot be split into halves for metric {metric}"
        raise ValueError(f"{text}: it needs at least {2 * metric.least} images")
    one, other = reference.once(("halves", size), lambda: _halves(reference, size))
    return value_of(metric, one, other), size


def drawn(metric: Metric, reference: Sample, n: int) -> tuple[float, float]:
    """Mean and standard deviation, over ``DRAWS`` draws, of the metric for n images drawn from the reference itself.

    Images are drawn with replacement and compared with the whole reference. This is the score of a perfect sampler with
    a denoiser that reproduces its training data: only chance and bias remain. The draws depend only on N and n.
    """
    values = drawn_of(metric, reference, [_draw(len(reference), n, k) for k in range(DRAWS)])
    return statistics.fmean(values), statistics.stdev(values)


def _halves(reference: Sample, size: int) -> tuple[Sample, Sample]:
    order = torch.from_numpy(generator("floor").permutation(len(reference)))
    return Sample(reference.features[order[:size]]), Sample(reference.features[order[size : 2 * size]])


def _draw(size: int, n: int, k: int) -> Draw:
    """The indices of the k-th draw of n images from a reference of ``size`` images."""
    return np.asarray(generator("drawn", n, k).integers(size, size=n))


def record(
    detector: Detector,
    of: Data | Reference,
    known: Sample,
    *,
    images: int,
    labels: str | tuple[int, ...] | None = None,
    seed: int | None = None,
    pixels: str = UINT8,
) -> Protocol:
    """The protocol of a distance with a short hash: everything that comparable numbers must share.

    ``of`` is the data set or reference with which images are compared, and ``known`` its features or their moments. The
    hash covers the content of the reference, but neither its description nor the seed, because results are averaged
    over seeds.
    """
    compared = of.identity() | {"known": "moments" if isinstance(known, Summary) else "features"}
    about: dict[str, Any] = {
        "name": protocol_of(detector),
        "images": images,
        "labels": list(labels) if isinstance(labels, tuple) else labels,
        "pixels": pixels,
        "resize": detector.resize(),
        "detector": detector.identity(),
        "reference": compared,
    }
    hash_of = content_key(about)[:DIGITS]
    told = compared | {"images": _count(known)} | _told(of)
    if isinstance(known, PartlyKnown):
        told |= {"features_of": len(known)}
    files = of.files_read() if isinstance(of, Data) else None
    if files is not None:
        told |= {"ignored": files.ignored} if files.ignored else {}
        about |= {"formats": files.formats}
    return Protocol(hash=hash_of, **about | {"reference": told}, seed=seed)


def _count(known: Sample) -> int | None:
    return known.moments.n if isinstance(known, Summary | PartlyKnown) else len(known)


def _told(of: Data | Reference) -> dict[str, Any]:
    """The description of the reference for readers, such as the split of a data set; without its path."""
    if isinstance(of, Reference):
        return of.about()
    return {name: value for name, value in of if isinstance(value, str | int | float)}
