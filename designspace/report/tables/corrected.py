"""Values without the bias of finite numbers of images, for what the reference stands for."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from designspace.report.entry import Entry, number_in, se_of_mean
from designspace.results.uncertainty import LEAST, suffices
from designspace.text import few

METRICS = ("frechet",)
"""The metrics that have such values."""
COMMON = (
    "The bias is estimated by a second-order expansion and by extrapolation from halves of the images. The values may "
    "be negative; claims and bold print use the values with bias."
)


@dataclass(frozen=True)
class Correction:
    """One way to remove the bias."""

    field: str
    """The field of a result that has the value; that of its standard error ends in ``_se``."""
    reference: str
    """What it takes the reference for, in a word."""
    meaning: str

    @property
    def caption(self) -> str:
        """The caption of a table of these values."""
        return f"{self.meaning} {COMMON}"


GENERATED = Correction(
    "bias_corrected",
    "population",
    "Values without the bias of finitely many generated images, ± standard error. They assume that the reference is "
    "the whole population, such as a data set that an exact denoiser gives back: they estimate the value that "
    "infinitely many generated images would have against these images of the reference.",
)
BOTH = Correction(
    "both_corrected",
    "sample",
    "Values without the bias of finitely many images on both sides, ± standard error. They assume that the reference "
    "is a sample of a distribution, such as held-out images: they estimate the value for infinitely many generated "
    "images and infinitely many images of the reference.",
)
SHOWN = {"population": (GENERATED,), "sample": (BOTH,), "both": (GENERATED, BOTH)}
"""The values to show, by what the reference stands for; for results that do not record it, those of a population."""


def shown(entries: Sequence[Entry], metric: str) -> list[tuple[Correction, list[Entry]]]:
    """The corrections to show, each with the entries that have its value."""
    found = [(one, [e for e in entries if one in _of(e) and estimate(e, metric, one)]) for one in (GENERATED, BOTH)]
    return [(correction, having) for correction, having in found if having]


def estimate(entry: Entry, metric: str, correction: Correction) -> tuple[float, float | None] | None:
    """The mean over the seeds and its standard error; ``None`` if the value of any seed is missing."""
    field = correction.field
    values = [number_in(row, metric, field) for row in entry.rows]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return statistics.fmean(known), entry.with_trainings(_se(entry, metric, correction, known), metric)


def _se(entry: Entry, metric: str, correction: Correction, values: Sequence[float]) -> float | None:
    """The standard error of the images; all seeds share the sampling of the reference, which does not average out."""
    own = [number_in(row, metric, "bias_corrected_se") for row in entry.rows]
    mean = se_of_mean(values, own)
    if correction is GENERATED or mean is None:
        return mean
    both = [number_in(row, metric, "both_corrected_se") for row in entry.rows]
    shared = [b**2 - a**2 for a, b in zip(own, both, strict=True) if a is not None and b is not None]
    return math.sqrt(mean**2 + max(statistics.fmean(shared), 0.0)) if shared else None


def absent(entries: Sequence[Entry], metric: str) -> str:
    """Which of these values are missing, and why; empty if none is, or if the metric has no such values."""
    if metric not in METRICS:
        return ""
    missing = [(e, one) for e in entries for one in _of(e) if not estimate(e, metric, one)]
    by: dict[str, list[str]] = {}
    for entry, correction in missing:
        by.setdefault(_why(entry, metric, correction), []).append(entry.config)
    every = len(missing) == sum(len(_of(entry)) for entry in entries)
    return " ".join(_sentences({why: list(dict.fromkeys(names)) for why, names in by.items()}, every and len(by) == 1))


def _sentences(by: dict[str, list[str]], every: bool) -> Iterator[str]:
    for why, names in by.items():
        yield f"Values without bias are missing{'' if every else f' for {few(names)}'}: {why}."


def _of(entry: Entry) -> tuple[Correction, ...]:
    protocol = entry.rows[0].protocol
    return SHOWN.get((protocol and protocol.stands_for) or "", (GENERATED,))


def _why(entry: Entry, metric: str, correction: Correction) -> str:
    features = entry.rows[0].features
    if features and not suffices(entry.images(metric), features):
        return f"they need at least {LEAST} × {max(features, 2)} images"
    if correction is BOTH:
        reference = entry.record.get("reference") or {}
        if reference.get("known") == "moments":
            return "they need the images of the reference, not only their mean and covariance"
        if features and not suffices(reference.get("images", math.inf), features):
            return f"they need a reference of at least {LEAST} × {max(features, 2)} images"
    return "an earlier version, which computed none, wrote the results"
