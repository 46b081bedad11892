"""An estimate of what a run would compute, and of the time that it would take."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from designspace.bars import shown
from designspace.errors import brief
from designspace.evaluation.rows import DenoiserMetric, Metric, Observation
from designspace.interrupts import contained, handled
from designspace.results.lines import PointKey, point_key
from designspace.results.records import DRAWS
from designspace.results.store import Results
from designspace.run.chunks import applies
from designspace.run.devices import devices_of
from designspace.run.evaluations import evaluations, search_nfe_of
from designspace.run.generate import chunks
from designspace.run.job import repeat_of
from designspace.run.labels import require_labels
from designspace.run.pace import Paces
from designspace.run.shapes import require_shapes
from designspace.run.stages import Stage, Stages
from designspace.sampling.counting import Cost
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.spec.evaluations import cost_of, guidance_cost_of
from designspace.storage.cache import Cache
from designspace.storage.files import content_key
from designspace.training.checkpoints import Checkpoints, Trainable

if TYPE_CHECKING:
    from designspace.spec import Ablation
    from designspace.spec.trial import Point, Trial


class PlannedPoint(NamedTuple):
    """A point of an ablation, and what is left to compute for it."""

    axes: dict[str, Any]
    id: str
    repeat: int
    """1 for the first trial of the point, 2 for the second."""
    num_steps: int
    nfe: int | float | None
    """The evaluations with the condition of each image; ``None`` for adaptive solvers."""
    images: int
    done: bool
    cached: float
    """The share of the images whose features are in the cache."""
    seconds: float | None
    """The estimated time of everything that earlier points do not compute; ``None`` if it is not known."""
    parts: dict[str, float]
    """The known parts of this time.

    They are training, time_steps, sampling, decoding, features, reference, metrics and observations.
    """
    error: str | None = None
    """Why the trial would fail, if that is already known."""
    nfe_guidance: int | float | None = None
    """The evaluations that guidance adds; ``None`` for adaptive solvers."""
    nfe_total: int | float | None = None
    """``nfe`` and ``nfe_guidance`` together, in evaluations of the denoiser: see ``Result.nfe_total``."""
    nfe_search: int | float | None = None
    """About what the search for measured time steps takes: see ``Result.nfe_search``."""


@handled()
@contained()
def dry_run(ablation: Ablation, *, device: str = "cpu", out: Path | str = "reports") -> list[PlannedPoint]:
    """The points of ``ablation`` with the time that each would take, measured without computing any of them.

    Every distinct denoiser and detector is applied to a batch of images, every distinct training is measured on a few
    steps, and every metric on random features. The times are for one process; checkpoints and files are left out.
    """
    require_labels(ablation)
    require_shapes(ablation)
    work = _Work(Stages(Cache(), torch.device(devices_of(device)[0])), Results(Path(out) / ablation.name).done())
    points = ablation.points()
    return [work.planned(point) for point in shown(points, "estimating the points", len(points))]


class _Work:
    """What a run has to compute, point by point; what points share is counted for the first of them."""

    def __init__(self, stages: Stages, done: set[PointKey]) -> None:
        self._stages, self._done, self._paces = stages, done, Paces(stages)
        self._settled = {id for id, _ in done}
        self._shared: set[object] = set()
        self._sampled: defaultdict[tuple[str, bool], int] = defaultdict(int)
        """The number of samples of each sampling that would be known, which trials with other decoders share."""
        self._trained: defaultdict[str, set[int]] = defaultdict(set)
        """The numbers of steps at which a state of each training would be known."""

    def planned(self, point: Point) -> PlannedPoint:
        """The point with the time that it would take."""
        trial, id = point.trial, point.trial.id
        cost: Cost | None = None
        parts, cached, error, total, search_nfe = dict[str, float](), 0.0, None, None, None
        try:
            with contained():
                cost = None if trial.design.solver.adaptive else cost_of(trial, trial.num_steps)
                total = cost and cost.total(guidance_cost_of(trial) if cost.guidance else 1)
                search_nfe = search_nfe_of(trial)
                missing = _Missing.of(trial, self._stages)
                cached = 1 - missing.features / trial.evaluate.images
                if id not in self._settled:
                    parts = self._parts(trial, self._shared_with_others(trial, missing), cost, search_nfe)
        except Exception as failure:  # in a component; the run would record it for this trial
            error = brief(failure)
        self._settled.add(id)
        known = {name: seconds for name, seconds in parts.items() if seconds and not math.isnan(seconds)}
        seconds = None if error or any(map(math.isnan, parts.values())) else math.fsum(known.values())
        is_done = point_key(id, point.axes) in self._done
        return PlannedPoint(
            axes=point.axes,
            id=id,
            repeat=repeat_of(trial),
            num_steps=trial.num_steps,
            nfe=cost and cost.nfe,
            images=trial.evaluate.images,
            done=is_done,
            cached=cached,
            seconds=seconds,
            parts=known,
            error=error,
            nfe_guidance=cost and cost.guidance,
            nfe_total=total,
            nfe_search=search_nfe,
        )

    def _parts(self, trial: Trial, missing: _Missing, cost: Cost | None, search_nfe: float) -> dict[str, float]:
        """Seconds of each part, NaN where they are unknown."""
        metrics = [metric for metric in trial.evaluate.metrics if applies(metric, trial)]
        distances = [metric for metric in metrics if not isinstance(metric, Observation)]
        seen = [metric for metric in metrics if isinstance(metric, Observation) and self._is_new(trial, metric)]
        placed = self._placed(trial, search_nfe) if missing.samples else 0
        observed = sum(evaluations(trial, metric, self._stages) for metric in seen)
        parts: dict[str, float] = {}
        if placed or missing.samples or observed:
            pace, each = self._paces.evaluation(trial), self._each(trial, cost) if missing.samples else 0.0
            search = placed * self._paces.evaluation(trial.measuring) if placed else 0.0
            parts |= {"time_steps": search, "sampling": missing.samples * each, "observations": observed * pace}
            # The guide comes first: its training may be the beginning of that of the denoiser.
            parts["training"] = sum(map(self._training, filter(None, (trial.guide_trial, trial))))
        if trial.decoder.decodes and missing.images:
            parts["decoding"] = missing.images * self._paces.decoding(trial)
        if distances:
            pace = self._paces.features(trial)
            parts["features"] = missing.features * pace
            parts["reference"] = self._reference(trial) * pace
            parts["metrics"] = sum(self._metric(trial, metric) for metric in distances)
        return parts

    def _each(self, trial: Trial, cost: Cost | None) -> float:
        """Seconds per sample, NaN for an adaptive solver; a network that guides has a pace of its own."""
        if cost is None:
            return math.nan
        seconds = cost.nfe * self._paces.evaluation(trial)
        return seconds + (cost.guidance * self._paces.evaluation(trial.guide_trial or trial) if cost.guidance else 0)

    def _once(self, *key: object) -> bool:
        """Whether this is the first trial that needs what ``key`` names."""
        new = key not in self._shared
        self._shared.add(key)
        return new

    def _shared_with_others(self, trial: Trial, missing: _Missing) -> _Missing:
        """``missing`` without the samples that an earlier trial would have sampled."""
        key, images = (self._stages.loaded.keys(trial).sampling, trial.decoder.decodes), trial.evaluate.images
        known, self._sampled[key] = self._sampled[key], max(images, self._sampled[key])
        return replace(missing, samples=min(missing.samples, max(images - known, 0)))

    def _training(self, trial: Trial) -> float:
        denoiser, loaded = trial.denoiser, self._stages.loaded
        if not isinstance(denoiser, Trainable):
            return 0.0
        plan = denoiser.plan(loaded.data(trial.data), trial.design)
        steps = math.ceil(denoiser.training_images / plan.recipe.batch_size)
        known = self._trained[plan.key]
        if not known:
            state = Checkpoints(self._stages.cache, plan).at_most(steps)
            known.add(0 if state is None else int(state["step"]))
        todo = steps - max(step for step in (0, *known) if step <= steps)
        known.add(steps)
        return todo * plan.recipe.batch_size * self._paces.training(trial, plan) if todo else 0.0

    def _placed(self, trial: Trial, search_nfe: float) -> float:
        """The evaluations that measured time steps need, unless an earlier trial needs the same."""
        rule = trial.design.time_steps
        if not isinstance(rule, MeasuredTimeSteps) or self._stages.has_levels(trial):
            return 0
        seen = self._stages.loaded.keys(trial.measuring).sampling
        return search_nfe * rule.images if self._once("levels", seen) else 0

    def _is_new(self, trial: Trial, metric: Observation) -> bool:
        if self._stages.has_observed(trial, metric):
            return False
        of_denoiser = isinstance(metric, DenoiserMetric)
        seen = trial.denoising_identity() if of_denoiser else trial.sampling_identity()
        return self._once(metric, content_key(seen))

    def _reference(self, trial: Trial) -> int:
        """The images of the reference whose features are not known yet."""
        key, given = self._stages.references.key(trial), trial.evaluate.reference
        if given is not None or not self._once("reference", key):
            return 0
        return self._stages.references.missing(trial)

    def _metric(self, trial: Trial, metric: Metric) -> float:
        """Seconds of a metric and, for the first trial with this reference, of its floor and its draws."""
        given = trial.evaluate.reference
        reference = len(self._stages.loaded.data(trial.data)) if given is None else trial.evaluate.images
        measure, value = self._paces.metric(trial, metric, reference)
        first = self._once(metric, self._stages.references.key(trial), trial.evaluate.images)
        return measure + (1 + DRAWS) * value * first


@dataclass(frozen=True)
class _Missing:
    """The numbers of images of a trial, at each stage, that are not in the cache."""

    samples: int
    """The numbers of latents or, without a decoder, of images."""
    images: int
    features: int

    @classmethod
    def of(cls, trial: Trial, stages: Stages) -> _Missing:
        """A run computes chunks in order, so that those in the cache come first and need not all be looked up."""

        def missing(stage: Stage, todo: Sequence[range]) -> Sequence[range]:
            def is_missing(chunk: range) -> bool:
                return not stages.has(stage, trial, chunk)

            return todo if not todo or is_missing(todo[0]) else todo[bisect_left(todo, True, key=is_missing) :]

        unseen = missing("features", chunks(trial.evaluate.images))
        undecoded = missing("images", unseen)
        unsampled = missing("latents", undecoded) if trial.decoder.decodes else undecoded
        return cls(*(sum(map(len, found)) for found in (unsampled, undecoded, unseen)))
