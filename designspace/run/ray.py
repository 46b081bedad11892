"""Workers as tasks of a Ray cluster, whose nodes must share the folder of the reports and the cache.

As in Ray itself, ``$RAY_ADDRESS`` names the cluster; without it, a running Ray instance is used, or one is started on
this machine, which other machines cannot reach. Each worker takes one CPU, or one GPU if the device is a GPU.
Moritz et al. (2018), https://arxiv.org/abs/1712.05889
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from designspace.errors import WorkerError, brief
from designspace.interrupts import GRACE
from designspace.run.devices import SEVERAL
from designspace.run.job import Job, Message, environment, error_of
from designspace.run.progress import Event, Report
from designspace.run.worker import work_elsewhere

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.util.queue import Queue

POLL = 0.5
"""Seconds between two readings of the workers' events."""
LOCAL_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With this environment variable set to 0, Ray does not use the network, as it does by default on these systems."""


def share(job: Job, workers: int | None, report: Report) -> None:
    """Run ``job`` in ``workers`` tasks; by default in one or, for the device ``cuda:all``, one per GPU of the cluster.

    Raises ``StorageError`` or ``WorkerError`` if a worker cannot go on; the other workers are stopped. A worker that
    ends early, as with its machine, is named in a failure, if its trial has no result, or else in a warning.
    """
    device = job.device.removesuffix(":all")  # Ray shows each worker one GPU
    message, ended = replace(job, folder=job.folder.resolve(), device=device).message(), []
    with _cluster() as ray, _lost_as_an_error():
        if workers is None:
            workers = max(1, int(ray.cluster_resources().get("GPU", 0))) if job.device == SEVERAL else 1
        from ray.exceptions import RayError
        from ray.util.queue import Queue

        events = Queue()
        task = ray.remote(_work).options(max_retries=0, runtime_env={"env_vars": environment()}, **_needs(job.device))
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
            _end(running)
        _pass_on(events, report)
    if ended:
        job.account_for(len(ended), f"Ray says: {'; '.join(ended)}", report)


def _end(running: list[ObjectRef[Any]]) -> None:
    """Let workers that still run save their training, and kill those that do not end in time."""
    import ray

    try:
        for one in running:
            ray.cancel(one)  # raises KeyboardInterrupt in the worker
        if running:
            ray.wait(running, num_returns=len(running), timeout=GRACE)
    finally:
        for one in running:
            ray.cancel(one, force=True)


@contextmanager
def _lost_as_an_error() -> Iterator[None]:
    """Turn what Ray raises if its head is lost into a ``WorkerError``."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as lost:
        raise WorkerError(f"the Ray cluster is lost ({brief(lost)}); run again to go on") from lost


@contextmanager
def _cluster() -> Iterator[ModuleType]:
    """Connect to Ray, and disconnect afterwards unless the caller was already connected. Yields the package ``ray``."""
    with _local_only(), _same_handler():
        import ray

        connected = ray.is_initialized()
        if not connected:
            try:
                ray.init(include_dashboard=False, logging_level=logging.ERROR)
            except Exception as error:  # of any kind, depending on what is missing
                raise WorkerError(f"Ray cannot be started or reached: {brief(error)}") from error
    try:
        yield ray
    finally:
        if not connected:
            ray.shutdown()


@contextmanager
def _local_only() -> Iterator[None]:
    """Let Ray, if it is imported and started in this block, listen on 127.0.0.1 only.

    Otherwise whoever can reach the machine could execute code. Ray reads the variable when it is imported.
    """
    if "RAY_ADDRESS" in os.environ or LOCAL_ONLY in os.environ:
        yield
        return
    os.environ[LOCAL_ONLY] = "0"
    try:
        yield
    finally:
        del os.environ[LOCAL_ONLY]


@contextmanager
def _same_handler() -> Iterator[None]:
    """Keep the handler of SIGTERM, which Ray replaces by one that exits."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _needs(device: str) -> dict[str, Any]:
    return {"num_gpus": 1} if device.startswith("cuda") else {"num_cpus": 1}


def _pass_on(events: Queue, report: Report) -> None:
    from ray.exceptions import RayError

    with suppress(RayError):  # the queue may be lost with its machine, and the run goes on without progress
        for event in events.get_nowait_batch(events.qsize()):
            report(Event(**event))


def _work(message: Message, events: Queue) -> Message | None:
    """Be a worker. The message that it returns, if any, is an error that stops the whole job."""
    from ray.exceptions import RayError

    def report(event: Event) -> None:
        with suppress(RayError):
            events.put(asdict(event))

    return work_elsewhere(message, report)
