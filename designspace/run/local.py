"""Workers as separate processes on this machine.

A worker reads its job from stdin and writes each event to stdout as one line of JSON. When its stdin is closed, because
the run is interrupted or killed, it saves the training in progress and exits. No worker outlives its run by more than
``GRACE`` seconds.

The standard library's ``multiprocessing`` and ``concurrent.futures`` import the user's main script again in each
worker. A script that calls ``run(..., workers=2)`` outside ``if __name__ == "__main__":`` would therefore start itself
again and fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import Any

import torch

from designspace.errors import warn
from designspace.interrupts import GRACE, Interrupted, end_main_thread
from designspace.run.devices import Place, devices_of, visible
from designspace.run.events import Event, Report
from designspace.run.job import Job, Message, error_of
from designspace.run.progress import say
from designspace.run.worker import work_elsewhere


def share(job: Job, workers: int | None, report: Report) -> None:
    """Run ``job`` in ``workers`` processes, by default one per device; worker i computes on device i mod G of G.

    Raises ``StorageError`` or ``WorkerError`` if a worker cannot go on; the other workers are stopped. A worker that
    ends early is named in a failure, if its trial has no result, or else in a warning.
    """
    messages: SimpleQueue[Message | None] = SimpleQueue()
    devices = devices_of(job.device)
    workers = workers or len(devices)
    if devices == ["cuda"] and workers > 1 and len(visible()) > 1:
        what = f"{workers} workers share one of {len(visible())} GPUs; with the device cuda:all, they use all of them"
        warn(what)
    with _spawned(job, [Place.of(devices[i % len(devices)]) for i in range(workers)]) as processes:
        for process in processes:
            Thread(target=_listen, args=(process, messages), daemon=True).start()
        running, lost = workers, workers
        while running:
            message = messages.get()
            if message is None:
                running -= 1
            elif "event" in message:
                report(Event(**message["event"]))
            elif "finished" in message:
                lost -= 1
            else:
                raise error_of(message)
        statuses = [process.wait() for process in processes]
    if lost:
        job.account_for(lost, f"with exit statuses {statuses} (-9: killed, perhaps because memory ran out)", report)


_running: list[subprocess.Popen[str]] = []
"""The workers that this process has started."""


def end_all() -> None:
    """End the workers of this process, which save their training before: for handlers of signals."""
    _end(_running)


@contextmanager
def _spawned(job: Job, places: Sequence[Place]) -> Iterator[list[subprocess.Popen[str]]]:
    threads = max(1, torch.get_num_threads() // len(places))
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
    # Not -m, which warns if the package has already imported the module.
    command = [sys.executable, "-P", "-c", "from designspace.run.local import main; main()"]
    processes = _running
    try:
        for place in places:
            how: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            # In a session of its own, Ctrl-C does not reach a worker directly, but once, when its stdin is closed.
            how |= {"start_new_session": True, "env": environment | place.environment}
            processes.append(subprocess.Popen(command, **how))
        for i, (process, place) in enumerate(zip(processes, places, strict=True)):
            assert process.stdin
            more = {"device": place.device, "first": job.first(i, len(places))}
            process.stdin.write(json.dumps(job.message() | more) + "\n")
            process.stdin.flush()
        yield processes
    finally:
        _end(processes)
        processes.clear()


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Let workers that still run save their training, and kill those that do not end in time."""
    until = monotonic() + GRACE
    try:
        for process in processes:
            with suppress(OSError):
                assert process.stdin
                process.stdin.close()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - monotonic()))
    finally:
        for process in processes:
            process.kill()  # the next run resumes an interrupted trial after its last chunk
            process.wait()


def _listen(process: subprocess.Popen[str], messages: SimpleQueue[Message | None]) -> None:
    assert process.stdout
    for line in process.stdout:
        messages.put(json.loads(line))
    messages.put(None)


def _exit_with_parent() -> None:
    while os.read(0, 1):
        pass
    end_main_thread()
    sleep(GRACE)
    os._exit(1)  # for instance in a long call of a library


def main() -> None:
    """Run one worker: the entry point of its process."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # redirects print() in components to stderr, because stdout carries messages

    def send(**message: Any) -> None:
        try:
            print(json.dumps(message), file=channel, flush=True)
        except BrokenPipeError:  # the run was killed, which is no failure of the trial
            raise Interrupted from None

    message = json.loads(sys.stdin.readline())
    Thread(target=_exit_with_parent, daemon=True).start()
    try:
        error = work_elsewhere(message, lambda event: send(event=asdict(event)))
        send(**(error or {"finished": True}))
    except Interrupted as interrupted:
        if interrupted.kept:
            say(str(interrupted))
        os._exit(interrupted.status)  # without waiting for threads of components
