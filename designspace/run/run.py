"""Running an ablation: write its description, share the points without a result among workers, return the results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.design import Design
from designspace.errors import DataError, SpecError
from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.results.lines import PointKey, point_key
from designspace.results.records import FRECHET, SCHEMA, Description, GridPoint, Result, Source
from designspace.results.sources import components_in
from designspace.results.store import Results, write_description
from designspace.run import local, ray
from designspace.run.job import Job
from designspace.run.labels import require_labels
from designspace.run.pipeline import restore_artefacts
from designspace.run.progress import watching
from designspace.run.stages import Stages
from designspace.run.worker import Worker
from designspace.spec.axes import Choice, read_axes
from designspace.spec.paths import Setting, build
from designspace.spec.plan import baseline
from designspace.spec.problems import Problems
from designspace.spec.trial import Label, Point
from designspace.storage.cache import Cache
from designspace.storage.provenance import now

if TYPE_CHECKING:
    from designspace.spec import Ablation

if TYPE_CHECKING:
    from designspace.spec import Ablation
    from designspace.spec.trial import Point, Trial

EXECUTORS = {"local": local.share, "ray": ray.share}
BASELINE = ("data", "denoiser", "design", "num_steps", "nfe", "evaluate")
"""The fields of an ablation that define the baseline."""


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

    To resume a run, run it again: finished points in ``out/<name>/results.jsonl`` are kept, and images and features
    are read from the cache. Several processes may run the same ablation at the same time; they share the work. A trial
    that raises an error is recorded in the ``failures`` of the results, and the other trials continue.

    Args:
        ablation: An ablation, usually from ``designspace.load``.
        device: A PyTorch device: ``cpu``, ``cuda``, ``cuda:1``.
        executor: Where workers run: ``local``, on this machine; ``ray``, on a cluster whose nodes share the folder of
            the reports and the cache (``designspace[ray]``).
        workers: The number of workers; local workers are processes that share the cores of this machine.
        out: The folder of all reports.
        batch_size: Images per call of the denoiser. It affects the images only through rounding errors.
        progress: Show progress on stderr.

    Raises:
        SpecError: Trials use labels that the data set or the denoiser does not support.
        DataError: Code or data have changed since the ablation was loaded, or other processes would need a component
            that is defined in a notebook.
        StorageError: A file cannot be written, for instance because the disk is full; finished points are kept.
    """
    points = tuple(ablation.points())
    _require_unchanged(points)
    require_labels(ablation)
    results = Results(Path(out) / ablation.name, only={_key(point) for point in points})
    write_description(results.folder, _description(ablation, points))
    done = results.done()
    todo = tuple(point for point in points if _key(point) not in done)
    finished = {point.trial.id: point.trial for point in points if _key(point) in done}
    restore_artefacts(finished.values(), results, Stages(Cache(), torch.device(device), batch_size))
    spec = Path(ablation.path).resolve() if ablation.path else None
    job = Job(ablation.name, todo, results.folder, device, batch_size, spec, tuple(ablation.components), now())
    several = min(workers, len(job.trials))
    elsewhere = several > 1 or (todo and executor != "local")
    if elsewhere:
        _require_files(todo)
    with watching(_costs(todo), len(done), show=progress) as report:
        if elsewhere:
            EXECUTORS[executor](job, several, report)
        elif todo:
            Worker(job, report).work()
    _warn_of_few_images(results.rows())
    return results


def _key(point: Point) -> PointKey:
    return point_key(point.trial.id, point.axes)


def _trials(points: Sequence[Point]) -> dict[str, Trial]:
    return {point.trial.id: point.trial for point in points}


def _costs(points: Sequence[Point]) -> dict[str, float]:
    return {id: float(trial.num_steps * trial.evaluate.images) for id, trial in _trials(points).items()}


def _require_unchanged(points: Sequence[Point]) -> None:
    """Raise ``DataError`` if a trial's id has changed, because its results would be stored under the old id."""
    for id, trial in _trials(points).items():
        if trial.model_copy().id != id:
            raise DataError("code or data have changed since the ablation was loaded: load it again")


def _require_files(points: Sequence[Point]) -> None:
    """Raise ``DataError`` if a component is defined in a notebook, which the processes of workers cannot import."""
    for name, cls in _components(points).items():
        if cls.in_notebook():
            row, _, component = name.partition("/")
            why = "is defined in a notebook, which workers cannot import"
            raise DataError(f"{row} '{component}' {why}: move the class into a .py file and name it in `components:`")


def _description(ablation: Ablation, points: Sequence[Point]) -> Description:
    """The description of the ablation, with which a report can list missing points without importing components."""
    optional: dict[str, Any] = {"components": list(ablation.components)} if ablation.components else {}
    return Description(
        schema=SCHEMA,
        name=ablation.name,
        question=ablation.question,
        axes=list(ablation.axes),
        claims=ablation.model_dump(mode="json", include={"claims"})["claims"],
        baseline=ablation.model_dump(mode="json", include=set(BASELINE)),
        baseline_axes=default_labels(ablation, points),
        metrics=[metric.name for metric in points[0].trial.evaluate.metrics] if points else [],
        points=[GridPoint(id=point.trial.id, axes=point.axes) for point in points],
        sources=_sources(points),
        **optional,
    )


def _sources(points: Sequence[Point]) -> dict[str, list[Source]]:
    """The publications that the components of the trials declare as their sources."""
    classes = _components(points)
    return {
        name: [Source(**source._asdict()) for source in cls.sources] for name, cls in classes.items() if cls.sources
    }


def _components(points: Sequence[Point]) -> dict[str, type[Component]]:
    """The classes of all components of the trials by ``row/name``, in the order of names."""
    specs = (trial.model_dump(mode="json") for trial in _trials(points).values())
    paths = (name.split("/", 1) for name in sorted({name for spec in specs for name in components_in(spec)}))
    found = {f"{row}/{name}": ROWS[row].known.get(name) for row, name in paths if row in ROWS}
    return {path: cls for path, cls in found.items() if cls}


def _warn_of_few_images(rows: list[Result]) -> None:
    asked = [(row.images, row.features) for row in rows if row.features and not row.metrics.keys().isdisjoint(FRECHET)]
    few = [(n, d) for n, d in asked if n < 10 * d]
    if few:
        n, d = few[0]
        warnings.warn(f"{n} images are fewer than 10 x {d} features: Fréchet distances are too high", stacklevel=3)


def default_labels(ablation: Ablation, points: Sequence[Point]) -> dict[str, Label]:
    """For each axis of ``grid`` and ``zip``, the label of the baseline's value.

    Axes that do not include the baseline's value have no entry. Reports compare the other values with these or, on an
    axis without an entry, with its first value.
    """
    base = baseline(dict(ablation))
    design = _design(base)
    found: dict[str, Label] = {}
    for part in ("zip", "grid"):
        for choices in read_axes(part, getattr(ablation, part), Problems()).values():
            for choice in choices:
                ((axis, label),) = choice.labels.items()
                if axis not in found and _is_base(choice, base, design, points, axis):
                    found[axis] = label
    return found


def _is_base(
    choice: Choice, base: Sequence[Setting], design: Design | None, points: Sequence[Point], axis: str
) -> bool:
    """Whether the resolved baseline already has the values that ``choice`` sets."""
    paths = [new.path for new in choice.settings]
    if not all(path[0] == "design" for path in paths):
        given = {setting.path: setting.value for setting in base}
        return all(given.get(new.path) == new.value for new in choice.settings)
    point = next((point for point in points if point.axes.get(axis) == choice.labels[axis]), None)
    if design is None or point is None or not paths:
        return False
    return all(_at(point.trial.design, path[1:]) == _at(design, path[1:]) for path in paths)


def _at(design: Design, path: Sequence[str]) -> Any:
    """The component, or the field of a component, at ``path``."""
    found: Any = design
    for name in path:
        found = getattr(found, name, None)
    return found


def _design(base: Sequence[Setting]) -> Design | None:
    """The design of the baseline; ``None`` if the baseline does not have a complete one."""
    try:
        raw: dict[str, Any] = build([setting for setting in base if setting.path[0] == "design"])["design"]
        rows = {row: value for row, value in raw.items() if row != SIGMA_DATA}  # it may need the data set
        return Design.model_validate(rows)
    except (KeyError, SpecError, ValidationError):
        return None
