"""Calling detectors, metrics and references, with checks of what they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from designspace.evaluation.measure import Measured, Sample, Summary
from designspace.evaluation.rows import Detector, Metric, Reference
from designspace.registry.calling import calling, described, require_number, require_tensor, unmet
from designspace.text import first_of


def features_of(detector: Detector, network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The features of uint8 ``images``, float32 ``[B, d]``, by the loaded ``network`` of ``detector``.

    Raises ``RowError`` unless there is one row per image.
    """
    with calling(detector):
        found = network(images)
    what = f"the features of {len(images)} images"
    return require_tensor(detector, what, found, (len(images), "d"), torch.float32).cpu()


def joined(detector: Detector, parts: Sequence[Tensor], images: int) -> Sample:
    """The features of all ``images``, from those of chunks. Raises ``RowError`` unless all chunks have the same width.

    The features of chunks may come from the cache.
    """
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) > 1:
        unmet(detector, "the number of features", "the same for all images", f"{widths[0]} and {widths[-1]}")
    sample = Sample(torch.cat(list(parts)))
    if len(sample) != images:
        unmet(detector, "the features", f"those of {images} images", f"those of {len(sample)}")
    return sample


def known_of(reference: Reference, detector: Detector) -> Sample:
    """The features of a reference or their moments. Raises ``RowError`` if it gives anything else."""
    with calling(reference):
        found: object = reference.load(detector)
    if isinstance(found, Summary):
        return found
    if not isinstance(found, Sample):
        unmet(reference, "load()", "a Sample or a Summary", described(found))
    require_tensor(reference, "the features", found.features, ("n", "d"))
    return found


def measured(metric: Metric, generated: Sample, reference: Sample) -> Measured:
    """The result of ``metric``. Raises ``RowError`` if it is not what ``Measured`` says."""
    with calling(metric):
        found: object = metric.measure(generated, reference)
    return checked(metric, found, len(generated))


def value_of(metric: Metric, generated: Sample, reference: Sample) -> float:
    """The value of ``metric`` alone. Raises ``RowError`` unless it is a finite number."""
    with calling(metric):
        found: object = metric.value(generated, reference)
    return require_number(metric, "the value", found)


def checked(metric: Metric, found: object, images: int) -> Measured:
    """Return what ``metric`` found on so many images. Raises ``RowError`` if it is not what ``Measured`` says."""
    if not isinstance(found, Measured):
        unmet(metric, "its result", "a Measured(value, se, influence)", described(found))
    require_number(metric, "the value", found.value)
    if found.se is not None and require_number(metric, "the standard error", found.se) < 0:
        unmet(metric, "the standard error", "None or a number that is not negative", described(found.se))
    for name, number in {"floor": found.floor, **found.extra}.items():
        if number is not None:
            require_number(metric, name, number)
    for name, each in {"influence": found.influence, "pairs": found.pairs}.items():
        if each is not None:
            _require_finite(metric, f"the {name}", require_tensor(metric, f"the {name}", each, (images,)))
    if found.profile is not None:
        sizes = found.profile.sigma.shape
        for name, column in found.profile.columns().items():
            require_tensor(metric, f"the column {name} of the profile", column, sizes)
    return found


def _require_finite(metric: Metric, what: str, each: Tensor) -> None:
    if infinite := (~each.isfinite()).nonzero().flatten().tolist():
        unmet(metric, what, "finite numbers", f"others for {len(infinite)} images ({first_of(infinite)})")
