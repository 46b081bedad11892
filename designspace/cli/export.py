"""The command export: images of a trial for other programs, a model card, or a table of results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from designspace.cli.errors import clean_errors, stop
from designspace.cli.options import OUTPUT, BatchSize, Device, Out, Sets, batch_size_of, load_ablation, one_device
from designspace.cli.points import chosen
from designspace.cli.report import folder_of
from designspace.text import describe

if TYPE_CHECKING:
    from designspace.report import Study
    from designspace.report.entry import Entry
    from designspace.spec.trial import Trial

SUFFIXES = {"npz": ".npz", "zip": ".zip", "png": "", "card": ".md", "csv": ".csv"}
SPECS = (".yaml", ".yml")


def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE[:AXIS=VALUE,...]",
            help="Results, or an ablation to sample, and the values of axes that select points.",
            show_default=False,
        ),
    ],
    form: Annotated[
        Literal["npz", "zip", "png", "card", "csv"], typer.Option("--as", help="The format.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(*OUTPUT, help="What to write. Default: named after the ablation.", show_default=False),
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="The number of images. Default: as measured.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Of which repeat the images are, if there are several.")] = 1,
    licence: Annotated[
        str | None, typer.Option(help="For a card: the model's licence, as the Hub names it. Default: unknown.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="For a card: the model that `designspace train --export` wrote.")
    ] = None,
    set_: Sets = [],  # noqa: B006  # typer copies it
    device: Device = "cpu",
    batch_size: BatchSize = "auto",
    out: Out = Path("reports"),
) -> None:
    """Write images of a trial for other programs, a model card, or a table of results.

    npz, for ADM's evaluator: arr_0, uint8 [N, H, W, C], and arr_1 with labels. zip, for EDM's tools: PNG files and
    dataset.json. png: a folder of PNG files. The images are those that the run has measured, from the cache or sampled
    again, so that other programs can compute their FID. With an ablation file, no results are needed.

    card: README.md for the Hugging Face Hub, with results, standard errors, and how the model was trained.

    csv: a row per result with the fields of its spec.

    Example: designspace export solver_grid:solver=heun,nfe=35 --as npz

    Without results: designspace export ablations/solver_grid.yaml:solver=heun,nfe=35 --as zip --images 500 -o heun.zip
    """
    with clean_errors():
        name, _, settings = what.partition(":")
        of_spec = Path(name).suffix in SPECS
        _require_of_use(form, of_spec, {"--images": images, "--licence": licence, "--model": model, "--set": set_})
        if form in ("card", "csv"):
            study, entries = _entries(what, name, settings, out)
            target = _free(output or Path(f"{study.about.name}{SUFFIXES[form]}"))
            _write_text(target, _card(study, entries, licence, model) if form == "card" else _table(study, entries))
            return
        if of_spec:
            title, trial = _of_spec(what, name, settings, set_, repeat, images)
        else:
            title, trial = _of_results(what, name, settings, out, repeat)
        if images is not None:
            trial = trial.model_copy(update={"evaluate": trial.evaluate.model_copy(update={"images": images})})
        target = _free(output or Path(f"{title}-{trial.id}{SUFFIXES[form]}"))
        _write_images(trial, target, form, one_device(device), batch_size_of(batch_size))


def _require_of_use(form: str, of_spec: bool, options: Mapping[str, object]) -> None:
    """Stop the command if an option has no effect, or if a card or table is wanted of what has no results."""
    of_results = form in ("card", "csv")
    if of_results and of_spec:
        stop(2, f"--as {form}: reads results, so that it takes the name or folder of a report, not an ablation file")
    unused = {"--images", "--set"} if of_results else set() if of_spec else {"--set"}
    unused |= set() if form == "card" else {"--licence", "--model"}
    for option in unused:
        if options[option]:
            stop(2, f"{option}: has no effect on --as {form} of {'an ablation file' if of_spec else 'results'}")


def _write_images(trial: Trial, target: Path, form: str, device: str, batch_size: int | None) -> None:
    from designspace.run.export import export as write

    try:
        write(trial, target, form, device, batch_size)
    except FloatingPointError as error:
        stop(1, str(error))
    typer.echo(f"images: {target} ({trial.evaluate.images:,} of trial {trial.id})")


def _write_text(target: Path, text: str) -> None:
    from designspace.storage.files import write_whole

    write_whole(target, text.encode())
    typer.echo(f"written: {target}")


def _free(target: Path) -> Path:
    if target.exists():
        stop(2, f"{target}: exists already; delete it, or name another file with --output")
    return target


def _entries(text: str, name: str, settings: str, out: Path) -> tuple[Study, list[Entry]]:
    """The study with this name, and its points with results that the settings select."""
    from designspace.report import Study
    from designspace.report.points import select

    study = Study(folder_of(name, out))
    axes = chosen(text, settings, [dict(point.axes) for point in study.points])
    if found := select(study.entries, axes):
        return study, found
    stop(2, f"{text}: no results yet; run the ablation first")


def _table(study: Study, entries: list[Entry]) -> str:
    from designspace.report.tables.values import tidy

    return tidy(study, entries, specs=True)


def _card(study: Study, entries: list[Entry], licence: str | None, model: Path | None) -> str:
    from designspace.report.card import UNKNOWN, card

    return card(study, entries, licence=licence or UNKNOWN, model=_description(entries, model))


def _description(entries: list[Entry], model: Path | None) -> dict[str, Any] | None:
    """The description of the model that was given, or of the only one that the points use."""
    from designspace.training.export import read_about

    if model is not None:
        return read_about(model)
    specs = [entry.trial("denoiser") or {} for entry in entries]
    if specs[0].get("name") != "pretrained" or any(spec != specs[0] for spec in specs):
        return None
    from designspace.denoising.rows import Denoiser

    denoiser: Any = Denoiser.model_validate(specs[0])
    denoiser.require()
    return read_about(denoiser.path)


def _one(text: str, points: Mapping[str, Mapping[str, Any]]) -> None:
    """Stop the command unless all ``points``, by their axes as text, are the same."""
    if len(points) != 1:
        listed = "; ".join(list(points)[:5])
        more = f"; {len(points) - 5} more" if len(points) > 5 else ""
        stop(2, f"{text}: selects {len(points)} points, and images are those of one: {listed}{more}")


def _of_spec(
    text: str, file: str, settings: str, set_: list[str], repeat: int, images: int | None
) -> tuple[str, Trial]:
    from designspace.run.labels import require_labels
    from designspace.run.shapes import require_shapes

    more = [] if images is None else [f"evaluate.images={images}"]
    ablation = load_ablation(Path(file), [*set_, *more])
    axes = chosen(text, settings, [dict(point.axes) for point in ablation.points()])
    points = [point for point in ablation.points() if axes.items() <= point.axes.items()]
    _one(text, {describe(point.axes): point.axes for point in points})
    require_labels(ablation)
    require_shapes(ablation)
    return ablation.name, [point.trial for point in points][_index(text, repeat, len(points))]


def _of_results(text: str, name: str, settings: str, out: Path, repeat: int) -> tuple[str, Trial]:
    """The trial of a result, from the spec in its record. Errors stop the command."""
    from pydantic import ValidationError

    from designspace.spec.trial import Trial

    study, entries = _entries(text, name, settings, out)
    _one(text, {describe(entry.axes): entry.axes for entry in entries})
    row = entries[0].rows[_index(text, repeat, len(entries[0].rows))]
    instead = "name the ablation's file instead: designspace export FILE.yaml:AXIS=VALUE,..."
    try:
        trial = Trial.model_validate(row.trial)
    except ValidationError as error:
        first = error.errors()[0]
        stop(2, f"{text}: the spec of the result cannot be read here ({first['msg']}); {instead}")
    if trial.id != row.id:
        stop(2, f"{text}: code, data or weights have changed since trial {row.id} was measured; {instead}")
    return study.about.name, trial


def _index(text: str, repeat: int, count: int) -> int:
    if repeat > count:
        stop(2, f"{text}: --repeat {repeat}: there {'is' if count == 1 else 'are'} only {count}")
    return repeat - 1
