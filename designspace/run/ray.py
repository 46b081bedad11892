"""Workers on a Ray cluster, whose nodes have to share the folder of the reports and the cache.

``$RAY_ADDRESS`` says which cluster, as of Ray itself; without it and a Ray that is running one begins on this machine.
Each worker takes one CPU, or one GPU where the device is one. Moritz et al. (2018), https://arxiv.org/abs/1712.05889
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designspace.errors import brief
from designspace.run.messages import Message, begins, fail_the_rest, plain, received, stopped, stopped_by
from designspace.run.progress import Event, Report
from designspace.run.worker import Job, Worker
from designspace.storage.cache import Cache

if TYPE_CHECKING:
    from ray.util.queue import Queue

POLL = 0.5
"""Seconds between looks at what the workers say."""


def share(job: Job, workers: int, report: Report) -> None:
    """Run ``job`` in ``workers`` tasks. Raises what stops it: ``StorageError``, or ``RuntimeError`` saying why."""
    import ray
    from ray.exceptions import RayError
    from ray.util.queue import Queue

    message, ended = plain(replace(job, folder=job.folder.resolve())), []
    with _cluster():
        events = Queue()
        task = ray.remote(_work).options(max_retries=0, runtime_env={"env_vars": _environment()}, **_needs(job.device))
        running = [task.remote(message | {"first": begins(job, i, workers)}, events) for i in range(workers)]
        try:
            while running:
                done, running = ray.wait(running, timeout=POLL)
                _tell(events, report)
                for one in done:
                    try:
                        said = ray.get(one)
                    except RayError as error:
                        ended.append(brief(error))
                        continue
                    if said:
                        raise stopped(said)
        finally:
            for one in running:
                ray.cancel(one, force=True)
        _tell(events, report)
    fail_the_rest(job, f"Ray says: {'; '.join(ended)}", report)


@contextmanager
def _cluster() -> Iterator[None]:
    """Ray; one that begins here ends here."""
    import ray

    if ray.is_initialized():
        yield
        return
    ray.init(include_dashboard=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _needs(device: str) -> dict[str, Any]:
    return {"num_gpus": 1} if device.startswith("cuda") else {"num_cpus": 1}


def _environment() -> dict[str, str]:
    """Workers start in another folder: modules and the cache are found by whole paths."""
    path = os.pathsep.join(str(Path(folder or ".").resolve()) for folder in sys.path)
    return {"PYTHONPATH": path, "DESIGNSPACE_CACHE": str(Cache().root.resolve())}


def _tell(events: Queue, report: Report) -> None:
    for event in events.get_nowait_batch(events.qsize()):
        report(Event(**event))


def _work(message: Message, events: Queue) -> Message | None:
    """Be a worker; what stops the whole job, if anything does."""
    warnings.filterwarnings("ignore", message=".*: not a result, skipped")  # said by the process that asked
    first = message.pop("first")
    try:
        Worker(received(message), lambda event: events.put(asdict(event))).work(first)
    except Exception as error:
        return stopped_by(error)
    return None
