"""Trials are claimed one by one through locks, so that any number of processes can share an ablation."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from designspace.errors import NotFiniteError, StorageError, brief
from designspace.results.store import Results, Row, point_key
from designspace.run.pipeline import evaluate
from designspace.run.progress import Event, Report
from designspace.run.stages import Stages
from designspace.storage.cache import Cache
from designspace.storage.provenance import now, provenance
from designspace.training.checkpoints import heard_by
from designspace.training.loop import Progress

if TYPE_CHECKING:
    from designspace.spec.trial import Point, Trial

POLL = 0.2
"""Seconds between looks at trials that other processes are working on."""


@dataclass(frozen=True)
class Job:
    """What every process that works on an ablation has to know."""

    ablation: str
    points: tuple[Point, ...]
    folder: Path
    device: str
    batch_size: int
    spec: Path | None
    components: tuple[str, ...]
    started: str
    """When the run started: what failed since, in any process, is not tried again."""

    @property
    def trials(self) -> dict[str, list[Point]]:
        """The points of each trial, by its id."""
        trials: dict[str, list[Point]] = {}
        for point in self.points:
            trials.setdefault(point.trial.id, []).append(point)
        return trials

    def fail(self, results: Results, points: Sequence[Point], error: str, trace: str = "", **more: object) -> None:
        """Record that a trial failed, and what more is known of it."""
        for point in points:
            about = {"id": point.trial.id, "ablation": self.ablation, "axes": point.axes}
            results.append_failure({**about, "error": error, **more, "traceback": trace, "time": now()})


def label(point: Point) -> str:
    """A point's axes, for people."""
    return ", ".join(f"{axis}={value}" for axis, value in point.axes.items()) or point.trial.id


class Worker:
    """One process's part in an ablation."""

    def __init__(self, job: Job, report: Report) -> None:
        device, cache = torch.device(job.device), Cache()
        self._job, self._report, self._cache = job, report, cache
        self._stages = Stages(cache, device, job.batch_size)
        self._results = Results(job.folder, cache=cache)
        self._provenance = provenance(device, job.spec)

    def work(self, first: int = 0) -> None:
        """Take one trial after the other until each has a result or has failed, here or in another process.

        Those before the ``first`` come last: workers that begin apart train different networks instead of waiting.
        """
        trials = list(self._job.trials.items())
        waiting = dict(trials[first:] + trials[:first])
        for points in waiting.values():
            self._stages.prepare(points[0].trial)
        while waiting:
            before = len(waiting)
            for id in list(waiting):
                with self._cache.lock(f"trial-{id}", wait=False) as mine:
                    if mine:
                        self._settle(waiting.pop(id))
            if len(waiting) == before:  # all are taken; one comes free without a result if its process dies
                time.sleep(POLL)

    def _settle(self, points: Sequence[Point]) -> None:
        trial, name = points[0].trial, label(points[0])
        if self._settled(points):
            return
        try:
            row = self._known(trial.id) or self._evaluate(trial, name)
        except StorageError:
            raise
        except Exception as error:  # whatever a component raises must not stop the other trials
            broken = {"not_finite": error.images} if isinstance(error, NotFiniteError) else {}
            trace = "".join(traceback.format_exception(error))
            self._job.fail(self._results, points, brief(error), trace, **broken)
            self._report(Event("failed", trial.id, name, note=f"failed: {brief(error):.300}"))
        else:
            for point in points:
                self._results.append({"id": trial.id, "ablation": self._job.ablation, **row, "axes": point.axes})
            self._report(Event("done", trial.id, name, note=_values(row)))

    def _evaluate(self, trial: Trial, name: str) -> Row:
        def seen(done: int, of: int, fresh: bool) -> None:
            self._report(Event("chunk", trial.id, name, done, of, fresh))

        def trained(progress: Progress) -> None:
            images = min(progress.images, progress.of)
            self._report(Event("training", trial.id, name, images, progress.of, True, progress.pace))

        with heard_by(trained):
            row = evaluate(trial, self._stages, self._results, seen)
        return {**row, "provenance": {**self._provenance, "time": now()}}

    def _settled(self, points: Sequence[Point]) -> bool:
        """Whether another process has finished the trial, or has failed at it since this run started."""
        done, id = self._results.done(), points[0].trial.id
        failed = any(row["id"] == id and row.get("time", "") > self._job.started for row in self._results.failures)
        return failed or all(point_key(id, point.axes) in done for point in points)

    def _known(self, id: str) -> Row | None:
        """The line of the same trial under other axes."""
        return next((row for row in self._results.rows() if row["id"] == id), None)


def _values(row: Row) -> str:
    return ", ".join(f"{name} {metric['value']:.4g}" for name, metric in row["metrics"].items())
