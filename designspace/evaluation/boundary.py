"""Calling detectors, metrics and references, with checks of what they return."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from designspace.evaluation.measure import Draw, Measured, Sample, Store, Summary
from designspace.evaluation.rows import Detector, Metric, Reference
from designspace.registry.calling import calling, described, require_number, require_tensor, unmet
from designspace.registry.component import Component
from designspace.results.records import MetricValue
from designspace.text import first_of

RECORDED = set(MetricValue.model_fields) - {
    *("skew", "effective_images", "bias_corrected", "bias_corrected_se", "both_corrected", "both_corrected_se")
}
"""The names of fields of a result that ``Measured.extra`` cannot fill."""


def features_of(detector: Detector, network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The features of uint8 ``images``, float32 ``[B, d]``, by the loaded ``network`` of ``detector``.

    Raises ``RowError`` unless there is one row per image.
    """
    with calling(detector):
        found = network(images)
    what = f"the features of {len(images)} images"
    features = require_tensor(detector, what, found, (len(images), "d"), torch.float32)
    _require_features(detector, what, features)
    return features.cpu()


def protocol_of(detector: Detector) -> str:
    """The name of a Fréchet distance of the features. Raises ``RowError`` unless it is FD- and a name.

    Only the distance of the built-in detector ``inception`` is called FID.
    """
    with calling(detector):
        found: object = detector.protocol()
    if not isinstance(found, str):
        unmet(detector, "protocol()", "text", described(found))
    if not (detector.built_in() or re.fullmatch(r"FD-\S+", found)):
        unmet(detector, "protocol()", "FD- and a name for the features", repr(found))
    return found


def _require_features(component: Component, what: str, features: Tensor) -> None:
    if not features.shape[1]:
        unmet(component, what, "at least one feature per image", described(features))


def joined(detector: Detector, parts: Sequence[Tensor], images: int, store: Store | None = None) -> Sample:
    """The features of all ``images``, from those of chunks. Raises ``RowError`` unless all chunks have the same width.

    The features of chunks may come from the cache.
    """
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) > 1:
        unmet(detector, "the number of features", "the same for all images", f"{widths[0]} and {widths[-1]}")
    sample = Sample(torch.cat(list(parts)), store=store)
    if len(sample) != images:
        unmet(detector, "the features", f"those of {images} images", f"those of {len(sample)}")
    return sample


def known_of(reference: Reference, detector: Detector) -> Sample:
    """The features of a reference or their moments. Raises ``RowError`` if it gives anything else."""
    with calling(reference):
        found: object = reference.load(detector)
    if isinstance(found, Summary):
        if found.moments.flaw:
            unmet(reference, "load()", "the covariance of features", found.moments.flaw)
        return found
    if not isinstance(found, Sample):
        unmet(reference, "load()", "a Sample or a Summary", described(found))
    _require_features(reference, "load()", require_tensor(reference, "the features", found.features, ("n", "d")))
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


def drawn_of(metric: Metric, reference: Sample, draws: Sequence[Draw]) -> list[float]:
    """The values of ``metric`` for draws from the reference. Raises ``RowError`` unless each is a finite number."""
    with calling(metric):
        found: object = metric.drawn(reference, draws)
    if not isinstance(found, Sequence) or len(found) != len(draws):
        unmet(metric, "drawn()", f"a sequence of {len(draws)} numbers, one per draw", described(found))
    return [require_number(metric, "the value", each) for each in found]


def checked(metric: Metric, found: object, images: int) -> Measured:
    """Return what ``metric`` found on so many images. Raises ``RowError`` if it is not what ``Measured`` says."""
    if not isinstance(found, Measured):
        unmet(metric, "its result", "a Measured(value, se, influence)", described(found))
    require_number(metric, "the value", found.value)
    if found.se is not None and require_number(metric, "the standard error", found.se) < 0:
        unmet(metric, "the standard error", "None or a number that is not negative", described(found.se))
    _require_names(metric, found.extra)
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


def _require_names(metric: Metric, extra: object) -> None:
    if not isinstance(extra, dict) or not all(isinstance(name, str) for name in extra):
        unmet(metric, "extra", "a dictionary of numbers by name", described(extra))
    if taken := sorted(RECORDED & set(extra)):
        unmet(metric, "extra", "names that results do not use otherwise", ", ".join(taken))


def _require_finite(metric: Metric, what: str, each: Tensor) -> None:
    if infinite := (~each.isfinite()).nonzero().flatten().tolist():
        unmet(metric, what, "finite numbers", f"others for {len(infinite)} images ({first_of(infinite)})")
