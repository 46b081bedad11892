"""The command train: train the denoisers of an ablation without sampling from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import clean_errors, stop
from designspace.cli.options import Device, File, Sets, Trackers, load_ablation, one_device, require_file

if TYPE_CHECKING:
    import torch

    from designspace.data.images import Images
    from designspace.run.trackers import Tracker
    from designspace.spec import Ablation, Point
    from designspace.training.checkpoints import Plan, Trainable
    from designspace.training.loop import Progress, Seen
    from designspace.training.ranks import Ranks
    from designspace.training.state import State


def train(
    file: File,
    set_: Sets = [],  # noqa: B006  # typer copies it
    device: Device = "cpu",
    export: Annotated[Path | None, typer.Option(help="Also write each denoiser to this folder, for sharing.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Export in half precision.")] = False,
    tracker: Trackers = [],  # noqa: B006
) -> None:
    """Train the denoisers of an ablation that are not in the cache yet, so that `run` finds them there.

    Ctrl-C and SIGTERM save the training before they end it, and the same command resumes it. A process that is killed
    (SIGKILL) loses at most 70 s. Trials that share a denoiser share its training.

    With torchrun, several processes train each denoiser together, on the CPU or one GPU each, with the same result
    except for rounding errors: torchrun --nproc_per_node=8 -m designspace train FILE --device cuda

    Example: designspace train ablations/training_rows.yaml --device cuda
    """
    require_file(file)
    import torch

    from designspace.run.labels import require_labels
    from designspace.run.trackers import trackers_of
    from designspace.training.ranks import joined

    with clean_errors():
        device = one_device(device)
        if half and not export:
            stop(2, "--half needs --export FOLDER")
        ablation = load_ablation(file, set_, tracker)
        trackers = trackers_of(ablation, tracker)
        require_labels(ablation)
        plans = _plans(ablation)
        if not plans:
            stop(2, f"{file}: has no denoiser to train: use `denoiser: {{name: trained, ...}}`")
        with joined(torch.device(device)) as (ranks, place):
            if (least := min(job.plan.recipe.batch_size for job, _ in plans)) < ranks.count:
                stop(2, f"{file}: batch_size {least} is less than the {ranks.count} processes that share a batch")
            track = partial(_tracked, ablation, trackers if ranks.first else [], place)
            done = [_train(job, points, ranks, place, export, track, half=half) for job, points in plans]
    raise typer.Exit(0 if all(done) else 1)


def _tracked(
    ablation: Ablation, trackers: Sequence[type[Tracker]], device: torch.device, point: Point
) -> AbstractContextManager[Seen]:
    from designspace.results.store import Results
    from designspace.run.tracking import training_tracked

    return training_tracked(trackers, ablation.name, point, Results(Path("reports") / ablation.name), device)


def _train(
    job: _Job,
    points: list[Point],
    ranks: Ranks,
    device: torch.device,
    folder: Path | None,
    track: Callable[[Point], AbstractContextManager[Seen]],
    *,
    half: bool,
) -> bool:
    """Train a denoiser, write it to ``folder`` and say so; ``False`` after an error, which must not stop the others."""
    from designspace.errors import DataError, StorageError, brief
    from designspace.interrupts import contained
    from designspace.run.job import label
    from designspace.run.progress import training_shown
    from designspace.training.checkpoints import trained
    from designspace.training.loop import DivergedError

    plan, images = job.plan, job.denoiser.training_images
    more = f" and {len(points) - 1} more" if len(points) > 1 else ""
    name = f"{plan.key[:12]} ({label(points[0])}{more}, seed {plan.recipe.seed}): {images:,} images"
    try:
        with contained(), training_shown(quiet=not ranks.first) as show, track(points[0]) as record:

            def seen(progress: Progress) -> None:
                show(progress)
                record(progress)

            job.snapshots()  # before anything is computed
            state = trained(plan, images, device, seen=seen, ranks=ranks)
            written = job.export(state, folder, device, half=half) if folder and ranks.first else []
    except (StorageError, DataError):
        raise
    except Exception as error:
        of_all = isinstance(error, DivergedError)  # other errors may have happened to this process alone
        if ranks.first or not of_all:
            typer.secho(f"{name}: {brief(error)}", err=True, fg="red")
        if ranks.count > 1 and not of_all:
            raise typer.Exit(1) from error  # the others would wait for this one
        return False
    if ranks.first:
        last = state.record.mean[-1] if state.record.images else state.first
        typer.echo(f"{name}, loss {last:.4g}")
        for path in written:
            typer.echo(f"  model: {path}")
    return True


@dataclass(frozen=True)
class _Job:
    denoiser: Trainable
    plan: Plan
    data: Images

    def export(self, state: State, folder: Path, device: torch.device, *, half: bool) -> list[Path]:
        """Write the denoiser and its snapshots, which are in the cache if it was trained with them.

        Returns the paths of the models without their suffixes.
        """
        from designspace.training.checkpoints import trained
        from designspace.training.export import Snapshot, export, snapshot_of

        path = folder / f"{self.plan.key[:12]}-{state.images}{self.plan.recipe.ema.tag}"
        export(state, self.plan, path, device, half=half)
        for fraction, part in zip(self.denoiser.snapshots, self.snapshots(), strict=True):
            plan = part.plan(self.data, self.plan.design)
            early = trained(plan, part.training_images, device)
            of = Snapshot(fraction, state.images)
            export(early, plan, snapshot_of(path, fraction), device, half=half, snapshot=of)
        return [path, *(snapshot_of(path, fraction) for fraction in self.denoiser.snapshots)]

    def snapshots(self) -> list[Trainable]:
        """The denoiser at each of its snapshots. Raises ``ValueError`` if the training is too short for one."""
        return [self.denoiser.snapshot(fraction) for fraction in self.denoiser.snapshots]


def _plans(ablation: Ablation) -> list[tuple[_Job, list[Point]]]:
    """The distinct denoisers and the points that share them, those with the shortest training first."""
    from designspace.run.loaded import Kept
    from designspace.training.checkpoints import Trainable

    data: Kept[Images] = Kept()
    found: dict[tuple[str, int, str], tuple[_Job, list[Point]]] = {}
    for point in ablation.points():
        trial = point.trial
        for denoiser in trial.denoisers:
            if isinstance(denoiser, Trainable):
                images = data.get(trial.data, trial.data.load)
                job = _Job(denoiser, denoiser.plan(images, trial.design), images)
                key = job.plan.key, denoiser.training_images, job.plan.recipe.ema.tag
                found.setdefault(key, (job, []))[1].append(point)
    return [found[key] for key in sorted(found, key=lambda key: key[1])]
