"""Run an ablation: YAML -> trials -> chunks of images -> features -> metrics -> results."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from designspace.errors import DataError
from designspace.results.lines import FRECHET
from designspace.results.store import SCHEMA, Results, Row, plain, point_key
from designspace.run import local, ray
from designspace.run.default_labels import default_labels
from designspace.run.estimate import dry_run as dry_run
from designspace.run.labels import require_labels
from designspace.run.progress import watching
from designspace.run.restore import restore_artefacts
from designspace.run.stages import Stages
from designspace.run.worker import Job, Worker
from designspace.storage.cache import Cache
from designspace.storage.files import write_whole
from designspace.storage.provenance import now

if TYPE_CHECKING:
    from designspace.spec import Ablation
    from designspace.spec.trial import Point

EXECUTORS = {"local": local.share, "ray": ray.share}
BASELINE = ("data", "denoiser", "design", "num_steps", "nfe", "evaluate")
"""The fields of an ablation that every point starts from."""


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
    """Compute what is not yet there of ``ablation`` and return its results.

    Running again is resuming: points in ``out/<name>/results.jsonl`` are kept, and images and features in the
    cache are used. Several processes may run the same ablation; they share the work. A trial that raises is recorded
    in the ``failures`` of the result, and the others go on.

    Args:
        ablation: As ``designspace.load`` reads it.
        device: Of PyTorch: ``cpu``, ``cuda``, ``cuda:1``.
        executor: Where workers run: ``local``, on this machine; ``ray``, on a cluster whose nodes share the folder of
            the reports and the cache (``designspace[ray]``).
        workers: How many; on this machine processes that share its cores.
        out: The folder of all reports.
        batch_size: Images that the denoiser sees at once. It changes images by rounding errors at most.
        progress: Show progress on stderr.

    Raises:
        SpecError: Labels are asked for that the data set does not have.
        DataError: Code or data are not what they were when the ablation was loaded.
        StorageError: A file cannot be written, for instance because the disk is full; what is finished is kept.
    """
    points = tuple(ablation.points())
    _require_unchanged(points)
    require_labels(ablation)
    results = Results(Path(out) / ablation.name, only={_key(point) for point in points})
    _describe(ablation, points, results.folder)
    done = results.done()
    todo = tuple(point for point in points if _key(point) not in done)
    found = {point.trial.id: point.trial for point in points if _key(point) in done}
    restore_artefacts(found.values(), results, Stages(Cache(), torch.device(device), batch_size))
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


def _key(point: Point) -> tuple[str, str]:
    return point_key(point.trial.id, point.axes)


def _costs(points: tuple[Point, ...]) -> dict[str, float]:
    return {point.trial.id: float(point.trial.num_steps * point.trial.evaluate.images) for point in points}


def _require_unchanged(points: tuple[Point, ...]) -> None:
    """Raise ``DataError`` if a trial is no longer what it was called by: its results would be taken for others."""
    for trial in {point.trial.id: point.trial for point in points}.values():
        if trial.model_copy().id != trial.id:
            raise DataError("code or data have changed since the ablation was loaded: load it again")


def _describe(ablation: Ablation, points: tuple[Point, ...], folder: Path) -> None:
    """Write what a report must know of the ablation, so that it can say what is missing and needs no component."""
    about = {
        "schema": SCHEMA,
        "name": ablation.name,
        "question": ablation.question,
        "axes": list(ablation.axes),
        "claims": ablation.model_dump(mode="json", include={"claims"})["claims"],
        "baseline": ablation.model_dump(mode="json", include=set(BASELINE)),
        "baseline_axes": default_labels(ablation, points),
        "metrics": [metric.name for metric in points[0].trial.evaluate.metrics] if points else [],
        "points": [{"id": point.trial.id, "axes": point.axes} for point in points],
    }
    if ablation.components:
        about["components"] = list(ablation.components)
    path = folder / "ablation.json"
    text = json.dumps(plain(about), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if not path.is_file() or path.read_text("utf-8") != text:
        write_whole(path, text.encode())


def _warn_of_few_images(rows: list[Row]) -> None:
    asked = [row for row in rows if row.get("features") and not row["metrics"].keys().isdisjoint(FRECHET)]
    few = [row for row in asked if row["images"] < 10 * row["features"]]
    if few:
        n, d = few[0]["images"], few[0]["features"]
        warnings.warn(f"{n} images are fewer than 10 x {d} features: Fréchet distances are too high", stacklevel=3)
