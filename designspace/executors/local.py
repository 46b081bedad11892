"""Several processes on this machine, each of which runs ``main``.

A worker reads its job from stdin and writes events to stdout, each as a line of JSON. It ends when stdin does, so
that none outlives a run that was killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch

from designspace.discovery import import_user
from designspace.executors.claims import Job, Worker, label
from designspace.files import StorageError
from designspace.progress import Event, Report
from designspace.spec.errors import brief
from designspace.spec.trial import Point, Trial
from designspace.store import Results, point_key

Message = dict[str, Any]


def share(job: Job, workers: int, report: Report) -> None:
    """Run ``job`` in ``workers`` processes. Raises what stops it: ``StorageError``, or ``RuntimeError`` saying why."""
    messages: SimpleQueue[Message | None] = SimpleQueue()
    with _spawned(job, workers) as processes:
        for process in processes:
            Thread(target=_listen, args=(process, messages), daemon=True).start()
        running = workers
        while running:
            message = messages.get()
            if message is None:
                running -= 1
            elif "event" in message:
                report(Event(**message["event"]))
            else:
                raise StorageError(message["full"]) if "full" in message else RuntimeError(message["broken"])
        _fail_the_rest(job, [process.wait() for process in processes], report)


@contextmanager
def _spawned(job: Job, workers: int) -> Iterator[list[subprocess.Popen[str]]]:
    threads = max(1, torch.get_num_threads() // workers)
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
    # Not -m, which warns of a module that its own package imports.
    command = [sys.executable, "-P", "-c", "from designspace.executors.local import main; main()"]
    processes: list[subprocess.Popen[str]] = []
    try:
        for _ in range(workers):
            pipe = subprocess.PIPE
            processes.append(subprocess.Popen(command, text=True, env=environment, stdin=pipe, stdout=pipe))
        for i, process in enumerate(processes):
            assert process.stdin
            process.stdin.write(json.dumps(_plain(job) | {"first": i * len(job.trials) // workers}) + "\n")
            process.stdin.flush()
        yield processes
    finally:
        for process in processes:
            process.kill()  # a trial that is cut short is taken up again where its last chunk ended
            process.wait()


def _listen(process: subprocess.Popen[str], messages: SimpleQueue[Message | None]) -> None:
    assert process.stdout
    for line in process.stdout:
        messages.put(json.loads(line))
    messages.put(None)


def _fail_the_rest(job: Job, statuses: list[int], report: Report) -> None:
    """Record trials that no worker settled: the workers were killed, as by a system short of memory."""
    results = Results(job.folder)
    settled = results.done() | {
        point_key(r["id"], r["axes"]) for r in results.failures if r.get("time", "") > job.started
    }
    for id, points in job.trials.items():
        if any(point_key(id, point.axes) not in settled for point in points):
            error = f"its process ended early, with exit statuses {statuses} (-9: killed, perhaps for want of memory)"
            job.fail(results, points, error)
            report(Event("failed", id, label(points[0]), note=error))


def _plain(job: Job) -> Message:
    points = [
        {"axes": point.axes, "id": point.trial.id, "trial": point.trial.model_dump(mode="json")} for point in job.points
    ]
    return {**vars(job), "points": points, "folder": str(job.folder), "spec": job.spec and str(job.spec)}


def _job(plain: Message) -> Job:
    spec = Path(plain["spec"]) if plain["spec"] else None
    for component in plain["components"]:
        import_user(component, relative_to=spec.parent if spec else Path.cwd())
    points = tuple(Point(axes=p["axes"], trial=Trial.model_validate(p["trial"])) for p in plain["points"])
    for point, sent in zip(points, plain["points"], strict=True):
        point.trial.denoiser.require()  # the code that the id is of is in memory from here on
        if point.trial.id != sent["id"]:
            raise ValueError(f"trial {sent['id']} is {point.trial.id} in a worker: the code or the data changed")
    rest = {"points": points, "folder": Path(plain["folder"]), "spec": spec, "components": tuple(plain["components"])}
    return Job(**{**plain, **rest})


def _exit_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    """Be a worker."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a component prints must not look like a message

    def send(**message: Any) -> None:
        print(json.dumps(message), file=channel, flush=True)

    warnings.filterwarnings("ignore", message=".*: not a result, skipped")  # said by the process that started this one
    plain = json.loads(sys.stdin.readline())
    first = plain.pop("first")
    Thread(target=_exit_with_parent, daemon=True).start()
    try:
        Worker(_job(plain), lambda event: send(event=asdict(event))).work(first)
    except StorageError as error:
        send(full=str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        hint = "own components must be in files that the ablation names"
        send(broken=f"a worker cannot work: {brief(error)} ({hint})")
