"""The job of a run: what every worker must know, and how it is sent to other processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from designspace.errors import StorageError, WorkerError, brief, warn
from designspace.registry.discovery import import_user
from designspace.results.lines import point_key
from designspace.results.records import SCHEMA, Failure
from designspace.results.store import Results
from designspace.run.events import Event, Report
from designspace.run.generate import chunks
from designspace.spec.trial import Point, Trial
from designspace.storage.files import CacheFolder
from designspace.storage.provenance import now

Message = dict[str, Any]
"""Plain data that can be sent as JSON."""


@dataclass(frozen=True)
class Job:
    """The points of an ablation that have no result yet, and how to compute them."""

    ablation: str
    points: tuple[Point, ...]
    folder: Path
    device: str
    batch_size: int | None
    spec: Path | None
    """The ablation's YAML file, if it was read from one."""
    components: tuple[str, ...]
    """The files and modules of the user's own components, as written in the ablation."""
    started: str
    """When the run started. A trial that has failed since then, in any process, is not tried again."""
    part: tuple[int, int] = (0, 1)
    """Which of the processes that share the job this one is, as far as known, and how many there are."""

    @property
    def trials(self) -> dict[str, list[Point]]:
        """The points of each trial, by its id."""
        trials: dict[str, list[Point]] = {}
        for point in self.points:
            trials.setdefault(point.trial.id, []).append(point)
        return trials

    def first(self, i: int, workers: int) -> int:
        """The position of the trial with which worker ``i`` begins; workers begin at different trials."""
        part, parts = self.part
        return (part * workers + i) * len(self.trials) // (parts * workers)

    def costs(self) -> dict[str, float]:
        """The relative costs of the trials."""
        trials = {id: points[0].trial for id, points in self.trials.items()}
        return {id: float(trial.num_steps * trial.evaluate.images) for id, trial in trials.items()}

    @property
    def chunks(self) -> int:
        """The number of chunks of all trials, and so the number of workers that have something to do."""
        return sum(len(chunks(points[0].trial.evaluate.images)) for points in self.trials.values())

    def settled(self, results: Results, points: Sequence[Point]) -> bool:
        """Whether all ``points``, which share a trial, have a result or have failed since the run started."""
        id = points[0].trial.id
        done = {point_key(id, row.axes) for row in results.of_trial(id)}
        failed = any(failure.time > self.started for failure in results.failures_of(id))
        return failed or all(point_key(id, point.axes) in done for point in points)

    def fail(self, results: Results, points: Sequence[Point], error: str, **more: Any) -> None:
        """Record why the trial of ``points`` failed; ``more`` are further fields of ``Failure``."""
        for point in points:
            about: dict[str, Any] = {"id": point.trial.id, "ablation": self.ablation, "axes": point.axes}
            results.append_failure(Failure(schema=SCHEMA, **about, error=error, **more, time=now()))

    def account_for(self, lost: int, why: str, report: Report) -> None:
        """Account for ``lost`` workers that ended early: record a failure for each trial that nobody has settled.

        If the other workers have settled all trials, a warning says what has happened.
        """
        results = Results(self.folder)
        rest = [points for points in self.trials.values() if not self.settled(results, points)]
        for points in rest:
            error = f"its process ended early, {why}"
            self.fail(results, points, error)
            report(Event("failed", points[0].trial.id, label(points[0]), note=error))
        if not rest:
            workers = "a worker" if lost == 1 else f"{lost} workers"
            warn(f"{workers} ended early, {why}; the others have computed all trials")

    def message(self) -> Message:
        """The job as a message to another process."""
        points = [{"axes": p.axes, "id": p.trial.id, "trial": p.trial.model_dump(mode="json")} for p in self.points]
        return {**vars(self), "points": points, "folder": str(self.folder), "spec": self.spec and str(self.spec)}

    @classmethod
    def received(cls, message: Message) -> Job:
        """The job in a ``message``. Raises ``ValueError`` if the code or the data differ in this process."""
        spec = Path(message["spec"]) if message["spec"] else None
        for component in message["components"]:
            import_user(component, relative_to=spec.parent if spec else Path.cwd())
        points = tuple(Point(axes=p["axes"], trial=Trial.model_validate(p["trial"])) for p in message["points"])
        for point, sent in zip(points, message["points"], strict=True):
            for component in (*point.trial.denoisers, point.trial.decoder):
                component.require()  # imports the code that the id covers, so that later edits have no effect
            if point.trial.id != sent["id"]:
                raise ValueError(f"trial {sent['id']} is {point.trial.id} in a worker: the code or the data changed")
        rest: dict[str, Any] = {"points": points, "folder": Path(message["folder"]), "spec": spec}
        rest |= {"components": tuple(message["components"]), "part": tuple(message["part"])}
        return cls(**{**message, **rest})


def part_of_step() -> tuple[int, int]:
    """Which of the processes that ``srun`` has started with the same command this one is, and how many there are."""
    part, parts = (int(os.environ.get(f"SLURM_{name}", "0")) for name in ("PROCID", "STEP_NUM_TASKS"))
    return (part, parts) if part < parts else (0, 1)


def environment() -> dict[str, str]:
    """Environment variables with absolute paths to modules and the cache, for workers that start in another folder."""
    path = os.pathsep.join(str(Path(folder or ".").resolve()) for folder in sys.path)
    return {"PYTHONPATH": path, "DESIGNSPACE_CACHE": str(CacheFolder().root.resolve())}


def label(point: Point) -> str:
    """The name of a point in messages: the values of its axes and, if it is repeated, which repeat it is."""
    axes = ", ".join(f"{axis}={value}" for axis, value in point.axes.items()) or point.trial.id
    repeats = point.trial.evaluate.repeats
    return axes if repeats == 1 else f"{axes}, repeat {repeat_of(point.trial)} of {repeats}"


def repeat_of(trial: Trial) -> int:
    """Which of the trials of its point this one is, from 1."""
    return trial.seed - trial.evaluate.seed + 1


def error_message(error: Exception) -> Message:
    """The message with which a worker reports an error that stops the whole job."""
    if isinstance(error, StorageError):
        return {"full": str(error)}
    hint = "your own components must be in files that the ablation lists under 'components'"
    return {"broken": f"a worker cannot work: {brief(error)} ({hint})"}


def error_of(message: Message) -> Exception:
    """The error that an ``error_message`` reports."""
    return StorageError(message["full"]) if "full" in message else WorkerError(message["broken"])
