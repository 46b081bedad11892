"""A worker computes trials of an ablation. It locks each while computing it, so that several workers share the work."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from designspace.bars import hide
from designspace.errors import IdleWarning, NotFiniteError, SharedCacheWarning, SkippedLineWarning, StorageError, brief
from designspace.interrupts import contained, handled, stop_if_asked
from designspace.registry.isolation import settings_kept
from designspace.results.records import Result
from designspace.results.store import Results
from designspace.run.job import Job, Message, error_message, label
from designspace.run.pipeline import evaluate
from designspace.run.progress import Event, Report
from designspace.run.stages import Stages
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.storage.cache import Cache
from designspace.storage.provenance import now, provenance
from designspace.training.checkpoints import heard_by
from designspace.training.loop import Progress

if TYPE_CHECKING:
    from designspace.spec.trial import Point, Trial

POLL = 0.2
"""Seconds between attempts to lock trials that other processes are working on."""


class Worker:
    """A process that computes trials of a job until all of them are settled."""

    def __init__(self, job: Job, report: Report) -> None:
        device, cache = torch.device(job.device), Cache()
        self._job, self._report, self._cache = job, report, cache
        self._stages = Stages(cache, device, job.batch_size)
        self._results = Results(job.folder, cache=cache)
        self._provenance = provenance(device, job.spec)

    def work(self, first: int = 0) -> None:
        """Compute one trial after another until each has a result or has failed, in this process or another.

        Trials before ``first`` come last. Workers that begin at different trials train different networks instead of
        waiting for each other.
        """
        trials = list(self._job.trials.items())
        waiting = dict(trials[first:] + trials[:first])
        for points in waiting.values():
            self._stages.prepare(points[0].trial)
        while waiting:
            before = len(waiting)
            for id in list(waiting):
                with self._cache.lock(f"trial-{id}", wait=False) as locked:
                    if locked:
                        self._settle(waiting.pop(id))
                stop_if_asked()
            if len(waiting) == before:  # others hold all locks; if one is killed, its lock becomes free
                time.sleep(POLL)

    def _settle(self, points: Sequence[Point]) -> None:
        """Record a result or a failure for the trial of ``points``, unless another process has already done so."""
        trial, name = points[0].trial, label(points[0])
        if self._job.settled(self._results, points):
            return
        try:
            known = self._results.of_trial(trial.id)  # under other axes
            with contained():
                result = known[0] if known else self._evaluate(trial, name)
        except StorageError:
            raise
        except Exception as error:  # an error in a component must not stop the other trials
            not_finite = {"not_finite": error.images} if isinstance(error, NotFiniteError) else {}
            trace = "".join(traceback.format_exception(error))
            self._job.fail(self._results, points, brief(error), **not_finite, traceback=trace)
            self._report(Event("failed", trial.id, name, note=f"failed: {brief(error):.300}"))
        else:
            for point in points:
                about = {"ablation": self._job.ablation, "axes": point.axes}
                self._results.append(result.model_copy(update=about))
            self._report(Event("finished", trial.id, name, note=_values(result)))

    def _evaluate(self, trial: Trial, name: str) -> Result:
        def seen(done: int, total: int, computed: bool) -> None:
            self._report(Event("sampling", trial.id, name, done, total, computed))

        def trained(progress: Progress) -> None:
            images = min(progress.images, progress.of)
            self._report(Event("training", trial.id, name, images, progress.of, True, progress.pace))

        with heard_by(trained), settings_kept():
            if not isinstance(trial.design.time_steps, MeasuredTimeSteps):
                warnings.simplefilter("ignore", IdleWarning)  # for all trials together, ``load`` has warned
            result = evaluate(trial, self._stages, self._results, seen)
        return result.model_copy(
            update={"provenance": {**self._provenance, **(result.provenance or {}), "time": now()}}
        )


@handled()
def work_elsewhere(message: Message, report: Report) -> Message | None:
    """Work on the job of a ``message`` from another process. Returns the error, if any, that stops the whole job."""
    for category in (SkippedLineWarning, SharedCacheWarning):
        warnings.simplefilter("ignore", category)  # the process that started this one warns
    hide()  # stderr is that of the process that started this one, which shows the progress
    first = message.pop("first")
    try:
        with contained():
            Worker(Job.received(message), report).work(first)
    except Exception as error:
        return error_message(error)
    return None


def _values(result: Result) -> str:
    return ", ".join(f"{name} {metric.value:.4g}" for name, metric in result.metrics.items())
