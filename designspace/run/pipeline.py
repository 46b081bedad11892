"""One trial, from noise to numbers: chunks of images -> features -> metrics -> a line of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from designspace.evaluation.evaluate import measure, observation, record
from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.rows import Metric, Observation
from designspace.results.store import Results, Row
from designspace.run.generate import chunks
from designspace.run.stages import Stages, Tensors
from designspace.sampling.probe import MeasuredTimeSteps

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

SHOWN = 8
"""Images of each trial that are kept for the report."""

Seen = Callable[[int, int, bool], None]
"""Called after each chunk: how many are done, of how many, and whether this one was computed, not found."""


def evaluate(trial: Trial, stages: Stages, results: Results, seen: Seen) -> Row:
    """Everything about ``trial`` that does not depend on who asks; its artefact is kept in ``results``."""
    asked = trial.evaluate
    metrics = [metric for metric in asked.metrics if _fits(metric, trial)]
    distances = [metric for metric in metrics if not isinstance(metric, Observation)]
    parts = _chunks("features" if distances else "images", trial, stages, seen)
    start = perf_counter()
    found = _distances(distances, trial, parts, stages) if distances else {}
    for metric in metrics:
        if isinstance(metric, Observation):
            observed = stages.observed.of(trial, metric)
            found[metric.name] = (observation(metric, observed), observed)
    seconds = {"metrics": perf_counter() - start} | _seconds(trial, parts, stages)
    shown = stages.images(trial, chunks(asked.images)[0])["images"][:SHOWN]
    effects = {f"influence.{name}": m.influence for name, (_, m) in found.items() if m.influence is not None}
    results.put_artefact(trial.id, {"images": shown, **effects, **_plane(trial, shown, stages)})
    return {
        "trial": trial.model_dump(mode="json"),
        "seed": trial.seed,
        **_nfe(parts),
        "images": asked.images,
        "features": parts[0]["features"].shape[1] if distances else None,
        "protocol": _protocol(trial, stages) if distances else None,
        "metrics": {metric.name: found[metric.name][0] for metric in metrics},
        "seconds": seconds,
        "sigmas": parts[0]["sigmas"].tolist(),
    }


def _plane(trial: Trial, shown: Tensor, stages: Stages) -> Tensors:
    """Of data of one number, what a picture of the whole flow needs; adaptive solvers have no levels to show."""
    on_a_grid = shown[0].numel() == 1 and not trial.design.solver.adaptive
    return {f"plane.{name}": tensor for name, tensor in stages.observed.plane(trial).items()} if on_a_grid else {}


def _fits(metric: Metric, trial: Trial) -> bool:
    try:
        metric.check(trial.design, trial.denoiser)
    except ValueError:  # said when the ablation was loaded
        return False
    return True


def _chunks(stage: Literal["features", "images"], trial: Trial, stages: Stages, seen: Seen) -> list[Tensors]:
    parts: list[Tensors] = []
    todo = chunks(trial.evaluate.images)
    for chunk in todo:
        fresh = not stages.has(stage, trial, chunk)
        parts.append(stages.features(trial, chunk) if stage == "features" else stages.images(trial, chunk))
        seen(len(parts), len(todo), fresh)
    return parts


def _distances(
    metrics: Sequence[Metric], trial: Trial, parts: list[Tensors], stages: Stages
) -> dict[str, tuple[Row, Measured]]:
    detector = trial.evaluate.detector
    generated = Sample(torch.cat([part["features"] for part in parts]))
    reference = stages.references.of(trial)
    found = measure(metrics, detector, generated, reference, lambda metric: stages.references.floor(metric, trial))
    for metric in metrics:
        row = found[metric.name][0]
        row["drawn"], row["drawn_sd"] = stages.references.drawn(metric, trial) or (None, None)
    return found


def _protocol(trial: Trial, stages: Stages) -> Row:
    asked = trial.evaluate
    of, known = asked.reference or trial.data, stages.references.of(trial)
    return record(asked.detector, of, known, images=asked.images, labels=asked.labels, seed=trial.seed)


def _seconds(trial: Trial, parts: list[Tensors], stages: Stages) -> dict[str, float]:
    spent = torch.stack([part["seconds"] for part in parts]).sum(0).tolist()
    found = dict(zip(("sampling", "features"), spent, strict=False))
    measured = isinstance(trial.design.time_steps, MeasuredTimeSteps)
    return found | ({"time_steps": stages.observed.levels(trial)["seconds"].item()} if measured else {})


def _nfe(parts: list[Tensors]) -> Row:
    """The evaluations of an image: an integer, or the mean and standard deviation where they differ."""
    if "nfe_each" not in parts[0]:
        return {"nfe": int(parts[0]["nfe"])}
    each = torch.cat([part["nfe_each"] for part in parts]).double()
    return {"nfe": each.mean().item(), "nfe_sd": each.std(correction=0).item()}
