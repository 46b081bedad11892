"""Running an ablation: write its description, share the points without a result among workers, return the results."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from designspace.data.load import load_images
from designspace.denoising.function import Function, Given
from designspace.denoising.rows import Denoiser
from designspace.errors import DataError, FewImagesWarning, warn
from designspace.interrupts import contained, handled
from designspace.registry.calling import described
from designspace.registry.isolation import settings_kept
from designspace.report.results import Results
from designspace.results.caveats import few_effective, too_few_images, unseeded
from designspace.results.lines import PointKey, point_key
from designspace.results.store import add_description
from designspace.run import local
from designspace.run.describe import components_of, describe
from designspace.run.devices import devices_of
from designspace.run.events import Report
from designspace.run.executors import (
    Share,
    first_device,
    require_devices,
    require_executor,
    sharing,
    workers_here,
)
from designspace.run.job import Job, part_of_step
from designspace.run.labels import require_labels
from designspace.run.pipeline import restore_artefacts
from designspace.run.progress import watching
from designspace.run.shapes import require_shapes
from designspace.run.stages import Stages
from designspace.run.trackers import Tracker, trackers_of
from designspace.run.tracking import tracked
from designspace.run.worker import Worker
from designspace.spec.ablation import Ablation
from designspace.spec.own import why_not_called
from designspace.spec.trial import Ids, Point, Trial
from designspace.storage.cache import Cache
from designspace.storage.provenance import now
from designspace.text import counted


@handled()
@contained()
def run(
    ablation: Ablation,
    *,
    device: str = "cpu",
    executor: str = "local",
    workers: int | None = None,
    out: Path | str = "reports",
    batch_size: int | None = None,
    progress: bool = True,
    denoiser: Function | None = None,
    denoiser_id: str = "",
    slurm: str = "",
    trackers: Sequence[str | type[Tracker]] = (),
) -> Results:
    """Compute the points of ``ablation`` that have no result yet, and return the results of all of its points.

    To resume, run it again: finished points in ``out/<name>/results.jsonl`` are kept, all else is in the cache. Other
    values on its axes add points to the folder, for reports and ``ds.Results``; those of another baseline are left out,
    with a warning. Processes may share the work. Errors of trials are in ``failures``. Signals save a training first.

    Args:
        ablation: An ablation, usually from ``load``.
        device: ``cpu``, ``cuda``, ``cuda:1``, several GPUs (``cuda:0,2``, ``cuda:all``); ``auto``: all, or the CPU.
        executor: ``local``: workers on this machine. ``ray``, ``slurm``: on a cluster that shares reports and cache.
        workers: The number of workers; by default one per device. With ``slurm``, that of jobs; by default one.
        out: The folder of all reports.
        batch_size: Images per call of the denoiser; by default 200 or, for a network on a CPU, about 25,600 pixels.
        progress: Show progress on stderr.
        denoiser: A function or module ``D(x, sigma, labels)`` in place of the denoiser of the ablation. It may have
            ``shape``, ``sigma_min``, ``sigma_max``, ``round_sigma``. A module is moved to ``device``, to evaluate only.
        denoiser_id: The identity of ``denoiser``, by which results are found again. Change it whenever D changes.
        slurm: Options of sbatch, for instance ``partition=gpu,gpus=8,time=60`` (minutes).
        trackers: Trackers besides those that the ablation names: ``wandb``, ``tensorboard``, or your own classes.

    Raises:
        ValueError: An argument is out of range, or ``denoiser`` fails, has no id or is for several workers.
        SpecError: Labels, shapes or decoders do not fit, a tracker cannot be used, or the ablation is for ``tune``.
        DataError: Code or data have changed since loading, or workers would need a component defined in a notebook.
        EndedError: A component called ``sys.exit`` before the first trial.
        StorageError: A file cannot be written, for instance because the disk is full; finished points are kept.
        KeyboardInterrupt: The run was interrupted; the message says what was saved.
    """
    _require_ablation(ablation)
    share, workers, first = _sharing(executor, slurm, device, workers=workers, batch_size=batch_size)
    tracking = trackers_of(ablation, trackers)
    if denoiser is not None or denoiser_id:
        ablation = with_denoiser(ablation, denoiser, denoiser_id, first, here=(executor, workers) == ("local", 1))
    points = _unchanged(ablation.points())
    require_labels(ablation)
    results = Results(Path(out) / ablation.name, only={_key(point) for point in points})
    done = results.done()
    if todo := tuple(point for point in points if _key(point) not in done):
        require_shapes(ablation)
    why = add_description(results.folder, describe(ablation, points))
    restore_artefacts(_trials(points, done).values(), results, Stages(Cache(), torch.device(first), batch_size))
    job = _job(ablation, todo, results, device, batch_size)
    shown = watching(job.costs(), len(done), show=progress)
    with settings_kept(), tracked(shown, tracking, job.ablation, points, results, first) as report:
        _work(job, share, workers, report)
    return _warned(results, why)


def _sharing(
    executor: str, slurm: str, device: str, *, workers: int | None, batch_size: int | None
) -> tuple[Share, int | None, str]:
    """The function that runs a job, the number of workers, and the first device.

    Raises ``ValueError`` unless these arguments of ``run`` are possible.
    """
    require_executor(executor, slurm)
    require_devices(executor, device)
    _require_positive(workers=workers, batch_size=batch_size)
    return sharing(executor, slurm), workers_here(executor, device, workers), first_device(executor, device)


def _job(ablation: Ablation, todo: tuple[Point, ...], results: Results, device: str, batch_size: int | None) -> Job:
    spec = Path(ablation.path).resolve() if ablation.path else None
    about = (device, batch_size, spec, ablation.components, now(), part_of_step())
    return Job(ablation.name, todo, results.folder.absolute(), *about)


def _work(job: Job, share: Share, workers: int | None, report: Report) -> None:
    """Do the job in this process, or ``share`` it among workers."""
    several = workers and min(workers, job.chunks)
    here = several == 1 and share is local.share
    if job.points and not here:
        _require_files(job.points)
    if job.points and here:
        Worker(replace(job, device=devices_of(job.device)[0]), report).work(job.first(0, 1))
    elif job.points:
        share(job, several, report)


def _require_ablation(ablation: object) -> None:
    if not isinstance(ablation, Ablation):
        raise TypeError(f"ablation: should be what designspace.load returns, not {described(ablation)}")
    ablation.require_points()


def _require_positive(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name}: should be at least 1, not {count}")


def _given(denoiser: Function | None, id: str, *, here: bool) -> Denoiser:
    """The denoiser that a program passes. Raises ``ValueError`` if it has no id or must leave this process."""
    if not callable(denoiser):
        raise ValueError(f"denoiser: should be a function D(x, sigma, labels), not {described(denoiser)}")
    if not (isinstance(id, str) and id):
        raise ValueError("denoiser_id: a denoiser given in Python needs a name by which its results are found again")
    if not here:
        spec = "denoiser: {name: function, factory: './file.py:callable'}"
        raise ValueError(
            f"workers: a denoiser given in Python stays in its process: use workers=1, or a spec with {spec}"
        )
    return Given.of(denoiser, id)


def with_denoiser(
    ablation: Ablation, denoiser: Function | None, id: str, device: str = "cpu", *, here: bool = True
) -> Ablation:
    """The ablation with a denoiser of the program, which is called once.

    Raises ``ValueError`` unless it returns denoised images, has an ``id`` and stays in this process (``here``).
    """
    own = _given(denoiser, id, here=here)
    found = ablation.with_denoiser(own)
    for trial in [point.trial for point in found.points()][:1]:
        text, _, _ = why_not_called(own, trial, load_images, [trial.evaluate.labels != "none"], device)
        if text:
            raise ValueError(f"denoiser: {text}")
    return found


def _require_files(points: Sequence[Point]) -> None:
    """Raise ``DataError`` if a component is defined in a notebook, which the processes of workers cannot import."""
    for name, cls in components_of(points).items():
        if cls.in_notebook():
            row, _, component = name.partition("/")
            why = "is defined in a notebook, which workers cannot import"
            raise DataError(f"{row} '{component}' {why}: move the class into a .py file and name it in `components:`")


def _key(point: Point) -> PointKey:
    return point_key(point.trial.id, point.axes)


def _trials(points: Sequence[Point], of: Container[PointKey] | None = None) -> dict[str, Trial]:
    return {point.trial.id: point.trial for point in points if of is None or _key(point) in of}


def _unchanged(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points. Raises ``DataError`` if a trial's id has changed, since its results would be under the old id."""
    ids = Ids()
    for id, trial in _trials(points).items():
        if ids.of(trial) != id:
            raise DataError("code or data have changed since the ablation was loaded: load it again")
    return tuple(points)


def _warned(results: Results, why: str) -> Results:
    """The results, with warnings of values that mislead and of results that the report leaves out.

    ``why`` says of what those are.
    """
    rows = results.rows()
    few = (too_few_images(row.images, row.features, row.metrics) for row in rows if row.features)
    if warning := next(filter(None, few), None):
        warn(warning, FewImagesWarning)
    if warning := next(filter(None, (few_effective(row.metrics) for row in rows)), None):
        warn(warning)
    for warning in unseeded(name for row in rows for name in row.unseeded):
        warn(warning)
    if count := results.left_out():
        what = f"{counted(count, 'result')} of other settings or versions{f' ({why})' * bool(why)}"
        file = results.folder / "results.jsonl"
        keep = "another folder of reports (--out) or another name keeps both reports"
        warn(f"{file} also holds {what}, which the report leaves out; {keep}")
    return results
