"""Computing one trial: chunks of images (of latents, if there is a decoder) -> features -> metrics -> a record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from designspace.errors import StorageError, brief, warn
from designspace.evaluation.boundary import joined
from designspace.evaluation.evaluate import measure, observation, record
from designspace.evaluation.measure import Measured
from designspace.evaluation.products import computing_on
from designspace.evaluation.rows import Metric, Observation
from designspace.registry.isolation import isolated
from designspace.results.records import SCHEMA, MetricValue, Protocol, Result
from designspace.results.store import Results
from designspace.run.chunks import Seen, all_chunks, applies
from designspace.run.generate import FURTHER, chunks
from designspace.run.loaded import unseeded
from designspace.run.stages import Stage, Stages, Tensors
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.spec.evaluations import guidance_cost_of

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

SHOWN = 8
"""The number of images per trial that are kept for the report."""
POINTS = 5000
"""The largest numbers of samples and of data that are kept if they are points of the plane."""

Found = dict[str, tuple[MetricValue, Measured]]
"""For each metric, its value for results.jsonl and everything that was measured, for the artefact."""


def evaluate(trial: Trial, stages: Stages, results: Results, seen: Seen) -> Result:
    """Compute ``trial``, write its artefact to ``results`` and return its result, in which ``axes`` is still empty."""
    asked = trial.evaluate
    metrics = [metric for metric in asked.metrics if applies(metric, trial)]
    distances = [metric for metric in metrics if not isinstance(metric, Observation)]
    parts = all_chunks(trial, stages, seen)
    start = perf_counter()
    with isolated(stages.device, "metrics", trial.id) as drew, computing_on(stages.device):
        found = _distances(distances, trial, parts, stages) if distances else {}
    seen_by = {m: stages.observed(trial, m) for m in metrics if isinstance(m, Observation)}
    found |= {m.name: _observation(m, tensors) for m, tensors in seen_by.items()}
    drew = drew.union(*map(unseeded, [*parts, *seen_by.values(), *_levels(trial, stages)]))
    seconds = {"metrics": perf_counter() - start} | _seconds(trial, parts, stages)
    _keep(trial, found, stages, results)
    optional: dict[str, Any] = {"unseeded": sorted(drew)} if drew else {}
    return Result(
        schema=SCHEMA,
        id=trial.id,
        trial=trial.model_dump(mode="json"),
        seed=trial.seed,
        network=trial.network(),
        **_nfe(parts),
        **_cost(trial, parts),
        **_nfe_search(trial, stages),
        images=asked.images,
        features=parts[0]["features"].shape[1] if distances else None,
        protocol=_protocol(trial, stages) if distances else None,
        metrics={metric.name: found[metric.name][0] for metric in metrics},
        seconds=seconds,
        sigmas=parts[0]["sigmas"].tolist(),
        provenance=_batch_size(parts),
        axes={},
        **optional,
    )


def restore_artefacts(trials: Iterable[Trial], results: Results, stages: Stages) -> None:
    """Write missing or damaged artefacts of finished ``trials`` again, where that is possible without sampling.

    Raises ``StorageError``. Any other error becomes a warning, because the results themselves exist.
    """
    for trial in trials:
        if results.artefact(trial.id) is not None or not _is_cached(trial, stages):
            continue
        try:
            with stages.cache.lock(f"trial-{trial.id}", wait=False) as mine:
                if mine:
                    evaluate(trial, stages, results, lambda done, of, computed: None)
        except StorageError:
            raise
        except Exception as error:
            warn(f"the artefact of {trial.id} cannot be made again: {brief(error)}")


def _distances(metrics: Sequence[Metric], trial: Trial, parts: list[Tensors], stages: Stages) -> Found:
    detector, references = trial.evaluate.detector, stages.references
    generated = joined(detector, [part["features"] for part in parts], trial.evaluate.images)
    known = partial(references.floor, trial=trial), partial(references.drawn, trial=trial)
    return measure(metrics, detector, generated, references.of(trial), *known)


def _observation(metric: Observation, tensors: Tensors) -> tuple[MetricValue, Measured]:
    measured = Measured.of(tensors)
    return observation(metric, measured), measured


def _levels(trial: Trial, stages: Stages) -> list[Tensors]:
    return [stages.levels(trial)] if isinstance(trial.design.time_steps, MeasuredTimeSteps) else []


def _keep(trial: Trial, found: Found, stages: Stages, results: Results) -> None:
    """Write the artefact: the first images, the influences of images and of pairs on each metric, and toy data."""
    shown = stages.images(trial, chunks(trial.evaluate.images)[0])["images"][:SHOWN]
    first = {f"influence.{name}": m.influence for name, (_, m) in found.items() if m.influence is not None}
    second = {f"pairs.{name}": m.pairs for name, (_, m) in found.items() if m.pairs is not None}
    kept: dict[str, Tensor] = {"images": shown, **first, **second, **_plane(trial, shown, stages)}
    kept |= _points(trial, shown, stages)
    results.put_artefact(trial.id, {name: tensor.cpu().numpy() for name, tensor in kept.items()})


def _plane(trial: Trial, shown: Tensor, stages: Stages) -> Tensors:
    """The plane of a one-dimensional flow, which it shows at any level.

    It is empty for adaptive solvers, which have no fixed noise levels, and for guidance that depends on the steps.
    """
    fixed = not (trial.design.solver.adaptive or trial.decoder.decodes or trial.guidance.by_step)
    if not fixed or shown[0].numel() != 1:
        return {}
    return {f"plane.{name}": tensor for name, tensor in stages.plane(trial).items()}


def _points(trial: Trial, shown: Tensor, stages: Stages) -> Tensors:
    """Samples and data as points of the plane, with their labels; empty unless samples are two numbers."""
    if shown[0].numel() != 2 or not trial.data.has_pixels:
        return {}
    data = stages.loaded.data(trial.data)
    if data.shape != shown[0].shape:
        return {}
    count = min(trial.evaluate.images, POINTS)
    samples = torch.cat([stages.images(trial, chunk)["images"] for chunk in chunks(count)]).flatten(1)
    labels = {"samples": stages.loaded.labels(trial, range(count)), "data": data.labels}
    found = {"samples": samples, "data": data.pixels[:POINTS].flatten(1)}
    found |= {f"{name}_labels": of[:POINTS].short() for name, of in labels.items() if of is not None}
    return {f"points.{name}": tensor for name, tensor in found.items()}


def _protocol(trial: Trial, stages: Stages) -> Protocol:
    asked = trial.evaluate
    of, known = asked.reference or trial.data, stages.references.of(trial)
    found = record(asked.detector, of, known, images=asked.images, labels=asked.labels, seed=trial.seed)
    return found.model_copy(update={"stands_for": trial.stands_for(known)})


def _seconds(trial: Trial, parts: list[Tensors], stages: Stages) -> dict[str, float]:
    spent = torch.stack([part["seconds"] for part in parts]).sum(0).tolist()
    names = ("sampling", *["decoding"] * trial.decoder.decodes, "features")
    found = dict(zip(names, spent, strict=False))
    measured = isinstance(trial.design.time_steps, MeasuredTimeSteps)
    return found | ({"time_steps": stages.levels(trial)["seconds"].item()} if measured else {})


def _batch_size(parts: list[Tensors]) -> dict[str, Any]:
    """The size of the batches in which the images were sampled, the smallest if memory ran out; nothing if unknown."""
    sizes = [int(part["batch_size"]) for part in parts if "batch_size" in part]
    return {"batch_size": min(sizes)} if sizes else {}


def _nfe(parts: list[Tensors]) -> dict[str, Any]:
    """The evaluations per image, with their standard deviation for adaptive solvers; further counts if not 0."""
    further = {key: _mean(parts, key) for key in FURTHER if any(key in part for part in parts)}
    if "nfe_each" not in parts[0]:
        return {"nfe": int(parts[0]["nfe"])} | further
    each = torch.cat([part["nfe_each"] for part in parts]).double()
    return {"nfe": each.mean().item(), "nfe_sd": each.std(correction=0).item()} | further


def _nfe_search(trial: Trial, stages: Stages) -> dict[str, Any]:
    """The cost of finding measured time steps; nothing if earlier versions did, which did not count it."""
    found = [levels["nfe"].item() for levels in _levels(trial, stages) if "nfe" in levels]
    return {"nfe_search": int(nfe) if nfe == int(nfe) else nfe for nfe in found}  # noqa: B035, there is at most one


def _cost(trial: Trial, parts: list[Tensors]) -> dict[str, Any]:
    """The cost of an evaluation that guidance adds, if there are such evaluations; nothing if it is 1."""
    cost = guidance_cost_of(trial) if any("nfe_guidance" in part for part in parts) else 1
    return {} if cost == 1 else {"guidance_cost": cost}


def _mean(parts: list[Tensors], key: str) -> int | float:
    """The mean over images of a count that each chunk holds as its own mean; a chunk without it has 0."""
    sizes = [len(part["features" if "features" in part else "images"]) for part in parts]
    held = (float(part[key]) if key in part else 0.0 for part in parts)
    mean = math.fsum(size * value for size, value in zip(sizes, held, strict=True)) / sum(sizes)
    return int(mean) if mean.is_integer() else mean


def _is_cached(trial: Trial, stages: Stages) -> bool:
    """Whether the cache holds everything that would otherwise have to be sampled."""
    observations = [metric for metric in trial.evaluate.metrics if isinstance(metric, Observation)]
    stage: Stage = "images" if len(observations) == len(trial.evaluate.metrics) else "features"
    parts = chunks(trial.evaluate.images)
    return (
        all(stages.has(stage, trial, chunk) for chunk in parts)
        and stages.has("images", trial, parts[0])
        and all(stages.has_observed(trial, metric) for metric in observations)
    )
