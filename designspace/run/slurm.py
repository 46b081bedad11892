"""Workers as jobs of Slurm, which the package submitit submits: https://github.com/facebookincubator/submitit

Each job computes on all devices of its machine that the user asks for, as a run on this machine does. The machines must
share the folder of the results and the cache, in which the folder ``slurm`` has the output of the jobs. A job that
reaches its time limit is put into the queue again, and so does Slurm with one that is pre-empted; both then go on where
they were.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designspace.errors import StorageError, WorkerError, brief
from designspace.interrupts import Interrupted
from designspace.results.store import Results
from designspace.run import local
from designspace.run.events import Event, Report
from designspace.run.job import Job, Message, environment, error_message, error_of, label
from designspace.run.progress import watching
from designspace.storage.files import CacheFolder
from designspace.text import did_you_mean

if TYPE_CHECKING:
    from submitit import Executor
    from submitit import Job as Submitted
    from submitit.helpers import DelayedSubmission

POLL = 1.0
"""Seconds between two looks at the results and at the states of the jobs."""
PATIENCE = 60.0
"""Seconds that jobs have to end by themselves when everything is computed, before they are cancelled."""
MINUTES = 60
"""The time limit of a job if the user gives none."""
TIMEOUTS = 1000
"""How often a job that reaches its time limit is put into the queue again."""
CLUSTERS = ("slurm", "local")
Options = Mapping[str, str]


def options_of(text: str) -> dict[str, str]:
    """The options of sbatch in ``partition=gpu,gpus=8,time=60``. Raises ``ValueError``."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals and found:  # a comma in a value, as in nodelist=a,b
            last = next(reversed(found))
            found[last] += f",{part}"
        elif not (key.strip() and value.strip()):
            raise ValueError(f"slurm: should be KEY=VALUE,..., such as partition=gpu,gpus=8,time=60, not '{text}'")
        else:
            found[key.strip().replace("-", "_")] = value.strip()
    if not found.get("time", "1").isdecimal():
        raise ValueError(f"slurm: time should be a number of minutes, not '{found['time']}'")
    _require_cluster(found.get("cluster", "slurm"))
    return found


def _require_cluster(cluster: str) -> None:
    if cluster not in CLUSTERS:
        near = did_you_mean(cluster, CLUSTERS)
        raise ValueError(f"slurm: unknown cluster '{cluster}'.{near} Known: {', '.join(CLUSTERS)}.")
    if cluster == "slurm" and shutil.which("sbatch") is None:
        why = "there is no sbatch on this machine. To try it without Slurm: --slurm cluster=local"
        raise ValueError(f"executor slurm: {why}")


def sharing(options: Options) -> Callable[[Job, int | None, Report], None]:
    """The function that runs a job in jobs of Slurm with these options, by default in one.

    It raises ``StorageError`` or ``WorkerError`` if a worker cannot go on; the other jobs are cancelled.
    """

    def share(job: Job, jobs: int | None, report: Report) -> None:
        with _environment():
            executor, count = _executor(options), jobs or 1
            job = replace(job, folder=job.folder.resolve())
            nodes = [Node(replace(job, part=(i, count)).message()) for i in range(count)]
            submitted = _submit(executor, nodes)
        try:
            ended = _watch(job, submitted, report)
        finally:
            for one in submitted:
                if not one.done():
                    one.cancel(check=False)
        if ended:
            job.account_for(len(ended), f"Slurm says: {'; '.join(ended)}", report)

    return share


@dataclass
class Node:
    """What a job of Slurm does. It is a process of its own, which only starts workers and waits for them."""

    message: Message

    def __call__(self) -> Message | None:
        """Work on the job. Returns the error, if any, that stops the whole run."""
        signal.signal(signal.SIGTERM, _end)  # submitit ignores it
        try:
            job = Job.received(self.message)
            with watching(job.costs(), 0, show=True) as report:
                local.share(job, None, report)
        except (StorageError, WorkerError, ValueError) as error:
            return error_message(error)
        return None

    def checkpoint(self) -> DelayedSubmission:
        """Let the workers save their training, in the seconds before the time limit. Returns the job to go on with."""
        from submitit.helpers import DelayedSubmission

        local.end_all()
        return DelayedSubmission(self)


def _end(number: int, frame: object) -> None:
    """End the job, which has been cancelled or pre-empted; in this case Slurm puts it into the queue again."""
    raise Interrupted(number)


def _submit(executor: Executor, nodes: Sequence[Node]) -> list[Submitted[Message | None]]:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with executor.batch():
            submitted = [executor.submit(node) for node in nodes]
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        raise WorkerError(f"Slurm refuses the jobs: {brief(error)}") from error
    return submitted


def _executor(options: Options) -> Executor:
    """An executor of submitit. Options that it does not know are passed to sbatch."""
    from submitit import LocalExecutor, SlurmExecutor

    folder, minutes = CacheFolder().root / "slurm", int(options.get("time", MINUTES))
    if options.get("cluster") == "local":
        executor: Executor = LocalExecutor(folder, max_num_timeout=TIMEOUTS)
        executor.update_parameters(timeout_min=minutes)
        return executor
    executor = SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
    known = SlurmExecutor._valid_parameters()
    given: dict[str, Any] = {"job_name": "designspace", **options, "time": minutes}
    own = {key: int(value) if str(value).isdecimal() else value for key, value in given.items() if key in known}
    rest = {key: value for key, value in given.items() if key not in known and key != "cluster"}
    executor.update_parameters(**own, additional_parameters={"requeue": True, **rest})
    return executor


@contextmanager
def _environment() -> Iterator[None]:
    """The environment that jobs inherit, in which paths to modules and to the cache are absolute."""
    before = dict(os.environ)
    os.environ.update(environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _watch(job: Job, submitted: Sequence[Submitted[Message | None]], report: Report) -> list[str]:
    """Report trials as they are settled, until all are or no job is left. Returns how jobs have ended early.

    Once all trials are settled, jobs that still run have ``PATIENCE`` seconds to end by themselves.
    """
    results, ended = Results(job.folder), list[str]()
    waiting, running, until = dict(job.trials), list(submitted), math.inf
    while running and time.monotonic() < until:
        time.sleep(POLL)
        over = [one for one in running if one.done()]
        running = [one for one in running if one not in over]
        for one in over:
            ended += _outcome(one)
        for id in [id for id, points in waiting.items() if job.settled(results, points)]:
            points = waiting.pop(id)
            report(Event("settled", id, label(points[0]), note="computed by a job of Slurm"))
        if not waiting:
            until = min(until, time.monotonic() + PATIENCE)
            running = [one for one in running if one.state == "RUNNING"]
    return ended if waiting else []


def _outcome(one: Submitted[Message | None]) -> list[str]:
    """Why a job that is over has ended early, if it has. Raises the error that stops the whole run."""
    from submitit.core.utils import UncompletedJobError

    try:
        error = one.result()
    except (UncompletedJobError, OSError) as lost:
        return [f"job {one.job_id}: {brief(lost)}, see {Path(one.paths.stderr)}"]
    if error:
        raise error_of(error)
    return []
