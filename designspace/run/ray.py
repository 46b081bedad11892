"""Workers as tasks of a Ray cluster, whose nodes must share the folder of the reports and the cache.

As in Ray itself, ``$RAY_ADDRESS`` names the cluster; without it, a running Ray instance is used, or one is started on
this machine. Each worker takes one CPU, or one GPU if the device is a GPU.
Moritz et al. (2018), https://arxiv.org/abs/1712.05889
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designspace.errors import brief
from designspace.run.job import Job, Message, error_of
from designspace.run.progress import Event, Report
from designspace.run.worker import work_elsewhere
from designspace.storage.files import CacheFolder

if TYPE_CHECKING:
    from ray.util.queue import Queue

POLL = 0.5
"""Seconds between two readings of the workers' events."""


def share(job: Job, workers: int, report: Report) -> None:
    """Run ``job`` in ``workers`` tasks.

    Raises ``StorageError`` or ``RuntimeError`` if a worker cannot go on; the other workers are stopped.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.queue import Queue

    message, ended = replace(job, folder=job.folder.resolve()).message(), []
    with _cluster():
        events = Queue()
        task = ray.remote(_work).options(max_retries=0, runtime_env={"env_vars": _environment()}, **_needs(job.device))
        running = [task.remote(message | {"first": job.first(i, workers)}, events) for i in range(workers)]
        try:
            while running:
                done, running = ray.wait(running, timeout=POLL)
                _pass_on(events, report)
                for one in done:
                    try:
                        error = ray.get(one)
                    except RayError as lost:
                        ended.append(brief(lost))
                        continue
                    if error:
                        raise error_of(error)
        finally:
            for one in running:
                ray.cancel(one, force=True)
        _pass_on(events, report)
    job.fail_the_rest(f"Ray says: {'; '.join(ended)}", report)


@contextmanager
def _cluster() -> Iterator[None]:
    """Connect to Ray, and disconnect afterwards unless the caller was already connected."""
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
    """Environment variables with absolute paths to modules and the cache, because workers start in another folder."""
    path = os.pathsep.join(str(Path(folder or ".").resolve()) for folder in sys.path)
    return {"PYTHONPATH": path, "DESIGNSPACE_CACHE": str(CacheFolder().root.resolve())}


def _pass_on(events: Queue, report: Report) -> None:
    for event in events.get_nowait_batch(events.qsize()):
        report(Event(**event))


def _work(message: Message, events: Queue) -> Message | None:
    """Be a worker. The message that it returns, if any, is an error that stops the whole job."""
    return work_elsewhere(message, lambda event: events.put(asdict(event)))
