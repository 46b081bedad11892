"""What goes to a worker and what comes back, as JSON: wherever it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from designspace.errors import StorageError, brief
from designspace.registry.discovery import import_user
from designspace.results.store import Results, point_key
from designspace.run.progress import Event, Report
from designspace.run.worker import Job, label
from designspace.spec.trial import Point, Trial

Message = dict[str, Any]


def plain(job: Job) -> Message:
    """The job for a worker."""
    points = [
        {"axes": point.axes, "id": point.trial.id, "trial": point.trial.model_dump(mode="json")} for point in job.points
    ]
    return {**vars(job), "points": points, "folder": str(job.folder), "spec": job.spec and str(job.spec)}


def received(message: Message) -> Job:
    """The job that a worker was sent. Raises ``ValueError`` if code or data are others there."""
    spec = Path(message["spec"]) if message["spec"] else None
    for component in message["components"]:
        import_user(component, relative_to=spec.parent if spec else Path.cwd())
    points = tuple(Point(axes=p["axes"], trial=Trial.model_validate(p["trial"])) for p in message["points"])
    for point, sent in zip(points, message["points"], strict=True):
        point.trial.denoiser.require()  # the code that the id is of is in memory from here on
        if point.trial.id != sent["id"]:
            raise ValueError(f"trial {sent['id']} is {point.trial.id} in a worker: the code or the data changed")
    rest = {"points": points, "folder": Path(message["folder"]), "spec": spec}
    return Job(**{**message, **rest, "components": tuple(message["components"])})


def begins(job: Job, i: int, workers: int) -> int:
    """The trial that the i-th of the workers takes first: they begin apart."""
    return i * len(job.trials) // workers


def stopped_by(error: Exception) -> Message:
    """What a worker says of an error that stops the whole job."""
    if isinstance(error, StorageError):
        return {"full": str(error)}
    hint = "own components must be in files that the ablation names"
    return {"broken": f"a worker cannot work: {brief(error)} ({hint})"}


def stopped(message: Message) -> Exception:
    """The error that a worker's message says."""
    return StorageError(message["full"]) if "full" in message else RuntimeError(message["broken"])


def fail_the_rest(job: Job, why: str, report: Report) -> None:
    """Record trials that no worker settled: the workers were killed, as by a system short of memory."""
    results = Results(job.folder)
    settled = results.done() | {
        point_key(r["id"], r["axes"]) for r in results.failures if r.get("time", "") > job.started
    }
    for id, points in job.trials.items():
        if any(point_key(id, point.axes) not in settled for point in points):
            error = f"its process ended early, {why}"
            job.fail(results, points, error)
            report(Event("failed", id, label(points[0]), note=error))
