"""Workers as tasks of a Ray cluster, whose nodes must share the folder of the reports and the cache.

As in Ray itself, ``$RAY_ADDRESS`` names the cluster; without it, a running Ray instance is used, or one is started on
this machine, which other machines cannot reach. Each worker takes one CPU, or one GPU if the device is a GPU. A worker
that is lost, alone or with its machine, is replaced; if the head is lost, the run ends.
Moritz et al. (2018), https://arxiv.org/abs/1712.05889
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from designspace.errors import WorkerError, brief, warn
from designspace.interrupts import GRACE
from designspace.run.devices import SEVERAL
from designspace.run.events import Event, Report
from designspace.run.job import Job, Message, environment, error_of
from designspace.run.ray_head import Head, HeadLostError, end_as_ray_would, require_head
from designspace.run.worker import work_elsewhere

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.util.queue import Queue

POLL = 0.5
"""Seconds between two readings of the workers' events."""
REPLACED = 3
"""How often each worker is replaced, as Ray does by default with its tasks."""
LOCAL_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With this environment variable set to 0, Ray does not use the network, as it does by default on these systems."""


def share(job: Job, workers: int | None, report: Report) -> None:
    """Run ``job`` in ``workers`` tasks; by default in one or, for the device ``cuda:all``, one per GPU of the cluster.

    Raises ``StorageError`` or ``WorkerError`` if a worker cannot go on, or if the head of the cluster is lost; the
    other workers are stopped. Workers that are lost are named in a failure, for each trial that has no result in the
    end, or else in a warning.
    """
    device = job.device.removesuffix(":all")  # Ray shows each worker one GPU
    message, ended = replace(job, folder=job.folder.resolve(), device=device).message(), list[str]()
    with _cluster() as ray, _lost_as_an_error():
        if workers is None:
            workers = max(1, int(ray.cluster_resources().get("GPU", 0))) if job.device == SEVERAL else 1
        head, events = Head(ray.get_runtime_context().gcs_address), _events()
        task: Any = ray.remote(_work).options(
            max_retries=0, runtime_env={"env_vars": environment()}, **_needs(job.device)
        )

        def start(i: int, lost: int) -> ObjectRef[Any]:
            """Start worker i, which has been lost so often: next time, it begins at another trial."""
            first = (job.first(i, workers) + lost) % len(job.trials)
            one: ObjectRef[Any] = task.remote(message | {"first": first}, events)
            return one

        _warn_if_none_fits(job.device)
        running = {start(i, 0): (i, 0) for i in range(workers)}
        try:
            while running:
                done, _ = ray.wait(list(running), timeout=POLL)
                head.require()
                _pass_on(events, report)
                for one in done:
                    i, lost = running.pop(one)
                    why, replaceable = _outcome(one)
                    ended += why
                    if replaceable and lost < REPLACED:
                        head.wait()
                        _warn_if_none_fits(job.device)
                        running[start(i, lost + 1)] = i, lost + 1
        finally:
            _end(list(running), min(GRACE, head.left()))
        _pass_on(events, report)
    if ended:
        job.account_for(len(ended), f"Ray says: {'; '.join(dict.fromkeys(ended))}", report)


def _events() -> Queue:
    """The queue of the workers' events, in a process on this machine, so that no other machine takes it along."""
    import ray
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})


def _outcome(one: ObjectRef[Any]) -> tuple[list[str], bool]:
    """Why a worker that is over has ended early, if it has, and whether another one in its place may do better.

    Raises the error, if any, that stops the whole job, or ``RayError``.
    """
    import ray
    from ray.exceptions import LocalRayletDiedError, NodeDiedError, OutOfMemoryError, RayError, WorkerCrashedError

    try:
        error = ray.get(one)
    except LocalRayletDiedError:
        raise  # without Ray on this machine, the others are out of reach
    except RayError as lost:
        replaceable = isinstance(lost, WorkerCrashedError | NodeDiedError | OutOfMemoryError)
        return [_first(lost)], replaceable
    if error:
        raise error_of(error)
    return [], False


def _first(error: Exception) -> str:
    """The first sentence of what Ray says, after which it explains where to find its logs."""
    return brief(error).partition(". ")[0].removesuffix(".")


def _warn_if_none_fits(device: str) -> None:
    """Warn if no machine of the cluster has what a worker needs, as one may later that joins the cluster."""
    import ray

    kind = "GPU" if "num_gpus" in _needs(device) else "CPU"
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    if found.get(kind, 0) < 1:
        what = f"no machine of the Ray cluster has a {kind} for a worker; the run waits for one that joins the cluster"
        warn(what)


def _end(running: list[ObjectRef[Any]], seconds: float) -> None:
    """Let workers that still run save their training, and kill those that do not end in so many seconds."""
    import ray

    try:
        for one in running:
            ray.cancel(one)  # raises KeyboardInterrupt in the worker
        if running:
            ray.wait(running, num_returns=len(running), timeout=seconds)
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
        raise WorkerError(
            f"the Ray cluster is lost ({_first(lost)}); finished trials are kept; run again to go on"
        ) from lost


@contextmanager
def _cluster() -> Iterator[ModuleType]:
    """Connect to Ray, and disconnect afterwards unless the caller was already connected. Yields the package ``ray``.

    Raises ``WorkerError`` if that is not possible.
    """
    with _local_only(), _same_handler():
        import ray

        connected = ray.is_initialized()
        if not connected:
            require_head()
            try:
                ray.init(include_dashboard=False, logging_level=logging.ERROR)
            except Exception as error:  # of any kind, depending on what is missing
                raise WorkerError(f"Ray cannot be started or reached: {brief(error)}") from error
    try:
        yield ray
    except HeadLostError:
        connected = True
        atexit.unregister(ray.shutdown)  # it would wait for the head
        atexit.register(end_as_ray_would)
        raise
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
    import ray
    from ray.exceptions import RayError

    actor: Any = events.actor
    with suppress(RayError):  # the queue may be lost, and the run goes on without progress
        size = ray.get(actor.qsize.remote(), timeout=POLL)  # without a head, a queue that has not started never will
        for event in ray.get(actor.get_nowait_batch.remote(size), timeout=GRACE):
            report(Event(**event))


def _work(message: Message, events: Queue) -> Message | None:
    """Be a worker. The message that it returns, if any, is an error that stops the whole job."""
    import ray
    from ray.exceptions import RayError

    last: ObjectRef[Any] | None = None
    put: Any = events.actor.put

    def report(event: Event) -> None:
        nonlocal last
        with suppress(RayError):
            last = put.remote(asdict(event))

    error = work_elsewhere(message, report)
    if last is not None:  # the events should be there before the worker is known to have ended
        with suppress(RayError):
            ray.get(last)
    return error
