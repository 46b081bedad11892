"""Run an ablation: its points are described, those without a result are shared among workers, results come back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from designspace.errors import DataError
from designspace.results.lines import PointKey, point_key
from designspace.results.records import Result, too_few_images
from designspace.results.store import Results, write_description
from designspace.run.describe import describe
from designspace.run.executors import EXECUTORS, require_device, require_executor
from designspace.run.job import Job
from designspace.run.labels import require_labels
from designspace.run.pipeline import restore_artefacts
from designspace.run.progress import watching
from designspace.run.stages import Stages
from designspace.run.worker import Worker
from designspace.storage.cache import Cache
from designspace.storage.provenance import now

if TYPE_CHECKING:
    from designspace.spec import Ablation
    from designspace.spec.trial import Point, Trial


def run(
    ablation: Ablation,
    *,
    device: str = "cpu",
    executor: str = "local",
    workers: int = 1,
    out: Path | str = "reports",
    batch_size: int = 200,
    progress: bool = True,
) -> Results:
    """Compute the points of ``ablation`` that have no result yet, and return all of its results.

    To resume a run, run it again: finished points in ``out/<name>/results.jsonl`` are kept, and so are images and
    features in the cache. Several processes may run the same ablation at the same time; they share the work. A trial
    that raises is recorded in the ``failures`` of the results, and the others go on.

    Args:
        ablation: An ablation that ``designspace.load`` has read.
        device: A device of PyTorch: ``cpu``, ``cuda``, ``cuda:1``.
        executor: Where workers run: ``local``, on this machine; ``ray``, on a cluster whose nodes share the folder of
            the reports and the cache (``designspace[ray]``).
        workers: The number of workers; on this machine they are processes that share its cores.
        out: The folder of all reports.
        batch_size: Images per call of the denoiser. It changes images by rounding errors at most.
        progress: Show progress on stderr.

    Raises:
        ValueError: There is no such device or executor, or ``workers`` or ``batch_size`` are less than 1.
        SpecError: Trials use labels that the data set does not have.
        DataError: Code or data have changed since the ablation was loaded.
        StorageError: A file cannot be written, for instance because the disk is full; finished points are kept.
    """
    require_executor(executor)
    require_device(device, here=executor == "local")
    _require_positive(workers=workers, batch_size=batch_size)
    points = tuple(ablation.points())
    _require_unchanged(points)
    require_labels(ablation)
    results = Results(Path(out) / ablation.name, only={_key(point) for point in points})
    write_description(results.folder, describe(ablation, points))
    done = results.done()
    todo = tuple(point for point in points if _key(point) not in done)
    finished = {point.trial.id: point.trial for point in points if _key(point) in done}
    restore_artefacts(finished.values(), results, Stages(Cache(), torch.device(device), batch_size))
    spec = Path(ablation.path).resolve() if ablation.path else None
    job = Job(ablation.name, todo, results.folder, device, batch_size, spec, tuple(ablation.components), now())
    with watching(_costs(todo), len(done), show=progress) as report:
        several = min(workers, len(job.trials))
        if several > 1 or (todo and executor != "local"):
            EXECUTORS[executor](job, several, report)
        elif todo:
            Worker(job, report).work()
    _warn_of_few_images(results.rows())
    return results


def _require_positive(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}: should be at least 1, not {count}")


def _key(point: Point) -> PointKey:
    return point_key(point.trial.id, point.axes)


def _trials(points: Sequence[Point]) -> dict[str, Trial]:
    return {point.trial.id: point.trial for point in points}


def _costs(points: Sequence[Point]) -> dict[str, float]:
    return {id: float(trial.num_steps * trial.evaluate.images) for id, trial in _trials(points).items()}


def _require_unchanged(points: Sequence[Point]) -> None:
    """Raise ``DataError`` if a trial's id has changed: its results would be stored under the id of another trial."""
    for id, trial in _trials(points).items():
        if trial.model_copy().id != id:
            raise DataError("code or data have changed since the ablation was loaded: load it again")


def _warn_of_few_images(rows: Sequence[Result]) -> None:
    said = (too_few_images(row.images, row.features, row.metrics) for row in rows if row.features)
    if warning := next(filter(None, said), None):
        warnings.warn(warning, stacklevel=3)
