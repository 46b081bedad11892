"""A worker computes trials of an ablation, and claims each before, so that several workers share the work.

The claims of trials are in the folder of the results, which all processes share that run the same ablation. Those that
have the same cache also share the chunks of a trial, once each trial that is left is being computed.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from designspace.bars import hide
from designspace.errors import IdleWarning, NotFiniteError, SharedCacheWarning, SkippedLineWarning, StorageError, brief
from designspace.interrupts import contained, handled, stop_if_asked
from designspace.registry.isolation import settings_kept
from designspace.results.records import Result
from designspace.results.store import Results
from designspace.run.chunks import Seen, is_shared, share_chunks
from designspace.run.claims import Pauses
from designspace.run.events import Event, Report, of_training
from designspace.run.job import Job, Message, error_message, label
from designspace.run.pipeline import evaluate
from designspace.run.stages import Stages
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.storage.cache import Cache
from designspace.storage.provenance import now, provenance
from designspace.training.checkpoints import heard_by
from designspace.training.loop import Progress

if TYPE_CHECKING:
    from designspace.spec.trial import Point, Trial


class Worker:
    """A process that computes trials of a job until all of them are settled."""

    def __init__(self, job: Job, report: Report) -> None:
        device, cache = torch.device(job.device), Cache()
        self._job, self._report, self._cache = job, report, cache
        self._stages = Stages(cache, device, job.batch_size)
        self._results = Results(job.folder, cache=cache)
        self._provenance = provenance(device, job.spec)
        self._left_alone: set[str] = set()
        """Trials of others, by their ids, that fail."""

    def work(self, first: int = 0) -> None:
        """Compute one trial after another until each has a result or has failed, in this process or another.

        Trials before ``first`` come last. Workers that begin at different trials train different networks instead of
        waiting for each other.
        """
        trials = list(self._job.trials.items())
        waiting = dict(trials[first:] + trials[:first])
        for points in waiting.values():
            self._stages.prepare(points[0].trial)
        pauses = Pauses()
        while waiting:
            before = len(waiting)
            for id in list(waiting):
                with self._claim(id) as mine:
                    if mine:
                        self._settle(waiting.pop(id))
                stop_if_asked()
            # Others hold all locks. If one is killed, its lock becomes free.
            if len(waiting) == before and not any(self._helps(points) for points in waiting.values()):
                pauses.pause()
            else:
                pauses = Pauses()

    @contextmanager
    def _claim(self, id: str) -> Iterator[bool]:
        """Claim a trial for this process, and yield whether this was possible."""
        with self._results.claim(id) as first:
            if first:
                with self._cache.lock(f"trial-{id}", wait=False) as mine:  # another ablation may have the same trial
                    yield mine
            else:
                yield False

    def _helps(self, points: Sequence[Point]) -> bool:
        """Compute chunks of a trial that another process with the same cache computes. Returns whether there were any.

        If one fails, the other process finds that out as well, and records it.
        """
        trial, name = points[0].trial, label(points[0])
        if trial.id in self._left_alone or not is_shared(trial, self._stages):
            return False
        with self._cache.lock(f"trial-{trial.id}", wait=False) as free:
            if free:
                return False
        try:
            with contained(), self._listening(trial, name) as seen:
                found = share_chunks(trial, self._stages, seen)
        except StorageError:
            raise
        except Exception:
            self._left_alone.add(trial.id)
            return False
        stop_if_asked()
        return bool(found)

    def _settle(self, points: Sequence[Point]) -> None:
        """Record a result or a failure for the trial of ``points``, unless another process has already done so."""
        trial, name = points[0].trial, label(points[0])
        if self._job.settled(self._results, points):
            self._report(Event("settled", trial.id, name, note="computed by another process"))
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
        with self._listening(trial, name) as seen:
            result = evaluate(trial, self._stages, self._results, seen)
        about = {**self._provenance, **(result.provenance or {}), "time": now()}
        return result.model_copy(update={"provenance": about})

    @contextmanager
    def _listening(self, trial: Trial, name: str) -> Iterator[Seen]:
        """Report the training of a trial's network; yields the function that reports its chunks."""

        def seen(done: int, total: int, computed: bool) -> None:
            self._report(Event("sampling", trial.id, name, done, total, computed))

        def trained(progress: Progress) -> None:
            images = min(progress.images, progress.of)
            values = of_training(progress)
            self._report(Event("training", trial.id, name, images, progress.of, True, progress.pace, values))

        with heard_by(trained), settings_kept():
            if not isinstance(trial.design.time_steps, MeasuredTimeSteps):
                warnings.simplefilter("ignore", IdleWarning)  # for all trials together, ``load`` has warned
            yield seen


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
