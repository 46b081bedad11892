"""One trial, from noise to numbers: chunks of images -> features -> metrics -> a line of results."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from designspace.evaluation.evaluate import measure
from designspace.evaluation.measure import Sample
from designspace.generate import chunks
from designspace.stages import Stages, Tensors
from designspace.store import Results, Row

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

SHOWN = 8
"""Images of each trial that are kept for the report."""

Seen = Callable[[int, int, bool], None]
"""Called after each chunk: how many are done, of how many, and whether this one was computed, not found."""


def evaluate(trial: Trial, stages: Stages, results: Results, seen: Seen) -> Row:
    """Everything about ``trial`` that does not depend on who asks; its artefact is kept in ``results``."""
    asked = trial.evaluate
    parts = _features(trial, stages, seen)
    generated = Sample(torch.cat([part["features"] for part in parts]))
    reference = stages.reference(trial.data, asked.detector)
    start = perf_counter()
    metrics, influence = measure(
        asked.metrics, asked.detector, generated, reference, lambda metric: stages.floor(metric, trial)
    )
    measuring = perf_counter() - start
    shown = stages.images(trial, chunks(asked.images)[0])["images"][:SHOWN]
    results.put_artefact(trial.id, {"images": shown, **influence})
    sampling, seeing = torch.stack([part["seconds"] for part in parts]).sum(0).tolist()
    return {
        "trial": trial.model_dump(mode="json"),
        "seed": trial.seed,
        "nfe": _nfe(parts),
        "images": asked.images,
        "features": generated.features.shape[1],
        "metrics": metrics,
        "seconds": {"sampling": sampling, "features": seeing, "metrics": measuring},
        "sigma_range": _sigma_range(parts),
    }


def _features(trial: Trial, stages: Stages, seen: Seen) -> list[Tensors]:
    parts: list[Tensors] = []
    todo = chunks(trial.evaluate.images)
    for chunk in todo:
        fresh = not stages.has_features(trial, chunk)
        parts.append(stages.features(trial, chunk))
        seen(len(parts), len(todo), fresh)
    return parts


def _nfe(parts: list[Tensors]) -> int | float:
    """An integer, unless an adaptive solver took more evaluations for some images than for others."""
    counts = [len(part["features"]) for part in parts]
    mean = math.fsum(float(part["nfe"]) * n for part, n in zip(parts, counts, strict=True)) / sum(counts)
    return int(mean) if mean.is_integer() else mean


def _sigma_range(parts: list[Tensors]) -> list[float]:
    ranges = torch.stack([part["sigma_range"] for part in parts])
    return [float(ranges[:, 0].min()), float(ranges[:, 1].max())]
