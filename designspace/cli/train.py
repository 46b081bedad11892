"""The command train: train the denoisers of an ablation without sampling from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import clean_errors, stop
from designspace.cli.options import Device, File, Sets, load_ablation, require_device

if TYPE_CHECKING:
    from designspace.data.images import Images
    from designspace.spec import Ablation, Point
    from designspace.training.checkpoints import Plan


def train(
    file: File,
    set_: Sets = [],  # noqa: B006  # typer copies it
    device: Device = "cpu",
    export: Annotated[Path | None, typer.Option(help="Also write each denoiser to this folder, for sharing.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Export in half precision.")] = False,
) -> None:
    """Train the denoisers of an ablation that are not in the cache yet, so that `run` finds them there.

    Ctrl-C and SIGTERM save the training before they end it, and the same command resumes it. A process that is killed
    (SIGKILL) loses at most 70 s. Trials that share a denoiser share its training.

    Example: designspace train ablations/training_rows.yaml --device cuda
    """
    import torch

    from designspace.errors import DataError, StorageError, brief
    from designspace.interrupts import contained
    from designspace.run.job import label
    from designspace.run.labels import require_labels
    from designspace.run.progress import training_shown
    from designspace.training.checkpoints import trained
    from designspace.training.export import export as write

    with clean_errors():
        require_device(device)
        if half and not export:
            stop(2, "--half needs --export FOLDER")
        ablation = load_ablation(file, set_)
        require_labels(ablation)
        plans = _plans(ablation)
        if not plans:
            stop(2, f"{file}: has no denoiser to train: use `denoiser: {{name: trained, ...}}`")
        failed = 0
        for plan, images, points in plans:
            more = f" and {len(points) - 1} more" if len(points) > 1 else ""
            name = f"{plan.key[:12]} ({label(points[0])}{more}, seed {plan.recipe.seed}): {images:,} images"
            try:
                with contained(), training_shown() as seen:
                    state = trained(plan, images, torch.device(device), seen=seen)
            except (StorageError, DataError):
                raise
            except Exception as error:  # an error in one network must not stop the others
                failed += 1
                typer.secho(f"{name}: {brief(error)}", err=True, fg="red")
                continue
            last = state.record.mean[-1] if state.record.images else state.first
            typer.echo(f"{name}, loss {last:.4g}")
            if export:
                write(state, plan, export / f"{plan.key[:12]}-{state.images}", torch.device(device), half=half)
    raise typer.Exit(1 if failed else 0)


def _plans(ablation: Ablation) -> list[tuple[Plan, int, list[Point]]]:
    """The distinct trainings with their numbers of images and the points that share them, shortest first."""
    from designspace.run.loaded import Kept
    from designspace.training.checkpoints import Trainable

    data: Kept[Images] = Kept()
    found: dict[tuple[str, int], tuple[Plan, list[Point]]] = {}
    for point in ablation.points():
        trial = point.trial
        if isinstance(trial.denoiser, Trainable):
            plan = trial.denoiser.plan(data.get(trial.data, trial.data.load), trial.design)
            found.setdefault((plan.key, trial.denoiser.training_images), (plan, []))[1].append(point)
    ordered = sorted(found.items(), key=lambda item: item[0][1])
    return [(plan, images, points) for (_, images), (plan, points) in ordered]
