"""The command train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import clean_errors, stop

if TYPE_CHECKING:
    from designspace.data.images import Images
    from designspace.spec import Ablation, Point
    from designspace.training.checkpoints import Plan


def train(
    file: Annotated[Path, typer.Argument(help="An ablation, a YAML file.", show_default=False)],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a field.")] = [],  # noqa: B006
    device: Annotated[str, typer.Option(help="Of PyTorch: cpu, cuda, cuda:1.")] = "cpu",
    export: Annotated[Path | None, typer.Option(help="Write each denoiser into this folder, to ship it.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Write it in half precision.")] = False,
) -> None:
    """Train the denoisers of an ablation that are not trained yet, and nothing else; `run` finds them done.

    Interrupted training goes on where it was, at most a minute before. Each denoiser is trained once for all trials
    that share it.

    Example: designspace train ablations/training_rows.yaml --device cuda
    """
    import torch

    from designspace.cli.runs import usable
    from designspace.cli.training import shown
    from designspace.errors import DataError, StorageError, brief
    from designspace.run.labels import require_labels
    from designspace.run.worker import label
    from designspace.spec import load
    from designspace.training.checkpoints import trained
    from designspace.training.export import export as write

    with clean_errors():
        usable(device)
        if half and not export:
            stop(2, "--half is about what --export writes: give it a folder")
        ablation = load(file, set_)
        require_labels(ablation)
        plans = _plans(ablation)
        if not plans:
            stop(2, f"{file}: no denoiser is trained here: use `denoiser: {{name: trained, ...}}`")
        failed = 0
        for plan, images, points in plans:
            more = f" and {len(points) - 1} more" if len(points) > 1 else ""
            name = f"{plan.key[:12]} ({label(points[0])}{more}): {images:,} images"
            try:
                with shown() as seen:
                    state = trained(plan, images, torch.device(device), seen=seen)
            except (StorageError, DataError):
                raise
            except Exception as error:  # whatever a network raises must not stop the others
                failed += 1
                typer.secho(f"{name}: {brief(error)}", err=True, fg="red")
                continue
            last = state.record.mean[-1] if state.record.images else state.first
            typer.echo(f"{name}, loss {last:.4g}")
            if export:
                write(state, plan, export / f"{plan.key[:12]}-{state.images}", torch.device(device), half=half)
    raise typer.Exit(1 if failed else 0)


def _plans(ablation: Ablation) -> list[tuple[Plan, int, list[Point]]]:
    """What is to be trained, each once, the fewest images first, and the points that share it."""
    from designspace.run.kept import Kept
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
