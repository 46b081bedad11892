"""An estimate of what a run would compute, and of the time that it would take."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from designspace.data.images import to_uint8
from designspace.results.lines import point_key
from designspace.results.store import Results
from designspace.run.generate import chunks
from designspace.run.labels import labels_for, require_labels
from designspace.run.stages import Stages
from designspace.sampling.noise import latents
from designspace.spec.evaluations import cost_of
from designspace.storage.cache import Cache

if TYPE_CHECKING:
    from designspace.spec import Ablation
    from designspace.spec.trial import Trial


class Speed(NamedTuple):
    """Seconds per image."""

    evaluation: float
    features: float


class PlannedPoint(NamedTuple):
    """A point of an ablation, and what is left to compute for it."""

    axes: dict[str, Any]
    id: str
    num_steps: int
    nfe: int | float | None
    """``None`` for adaptive solvers."""
    images: int
    done: bool
    cached: float
    """The share of the images whose features are in the cache."""
    seconds: float | None
    """An estimate from one batch through the denoiser and the detector; ``None`` for adaptive solvers."""


def dry_run(ablation: Ablation, *, device: str = "cpu", out: Path | str = "reports") -> list[PlannedPoint]:
    """The points of ``ablation``, without computing any of them. Times are proportional to NFE and images."""
    require_labels(ablation)
    stages = Stages(Cache(), torch.device(device))
    done = Results(Path(out) / ablation.name).done()
    speeds: dict[object, Speed] = {}
    settled = {id for id, _ in done}
    rows = []
    for point in ablation.points():
        trial, id = point.trial, point.trial.id
        nfe = None if trial.design.solver.adaptive else cost_of(trial).nfe
        missing = _missing(trial, stages)
        seconds: float | None = 0.0
        if id not in settled and missing:
            key = trial.denoiser, trial.evaluate.detector
            speed = speeds[key] = speeds.get(key) or measured(trial, stages)
            seconds = None if nfe is None else missing * (speed.evaluation * nfe + speed.features)
        settled.add(id)
        images = trial.evaluate.images
        is_done, cached = point_key(id, point.axes) in done, 1 - missing / images
        rows.append(PlannedPoint(point.axes, id, trial.num_steps, nfe, images, is_done, cached, seconds))
    return rows


def measured(trial: Trial, stages: Stages) -> Speed:
    """Measure the speed of the trial's denoiser and detector on one batch."""
    given = stages.loaded.data(trial.data), trial.design, stages.device
    denoiser = trial.denoiser.untrained(*given) or trial.denoiser.load(*given)
    batch = chunks(trial.evaluate.images)[0]
    rule = trial.evaluate.labels
    labels = None if rule == "none" else labels_for(rule, trial.seed, batch, stages.loaded.data(trial.data))
    D = denoiser.bind(None if labels is None else labels.to(stages.device))
    sigma = trial.design.time_steps.sigmas(trial.num_steps)[trial.num_steps // 2]
    x = (latents(trial.seed, batch, denoiser.shape) * sigma).float().to(stages.device)
    D(x, sigma).cpu()  # the first call includes one-time costs
    start = perf_counter()
    images = to_uint8(D(x, sigma).cpu())
    evaluation = (perf_counter() - start) / len(batch)
    stages.loaded.detect(trial.evaluate.detector, images)
    start = perf_counter()
    stages.loaded.detect(trial.evaluate.detector, images)
    return Speed(evaluation, (perf_counter() - start) / len(images))


def _missing(trial: Trial, stages: Stages) -> int:
    return sum(len(chunk) for chunk in chunks(trial.evaluate.images) if not stages.has("features", trial, chunk))
