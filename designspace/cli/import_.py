"""The command import: make a model of a checkpoint of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from designspace.cli.errors import clean_errors, print_json, stop, terminal
from designspace.cli.options import OUTPUT, Json

if TYPE_CHECKING:
    from designspace.design import Design
    from designspace.importing.alone import Given
    from designspace.importing.model import Model

CHECKPOINTS = (".pkl", ".pt", ".pth", ".ckpt", ".bin", ".mdlus", ".safetensors")
"""Suffixes that are left out of the default name of a model."""


def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="A checkpoint.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(*OUTPUT, "--out", help="The model to write. Default: models/ and the name of the file."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The entry that holds the network, for instance net or ema.emas.0. Default: ema."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="For weights alone: ./model.py:make, package.module:make, or '{name: unet, ...}'."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="For weights alone: the preset that they were trained with, or '{preset: edm, ...}'."),
    ] = None,
    shape: Annotated[str | None, typer.Option(help="For weights alone: C,H,W of a sample, such as 3,32,32.")] = None,
    classes: Annotated[int, typer.Option(min=0, help="For weights alone: the number of classes.")] = 0,
    scheduler: Annotated[
        Path | None, typer.Option(help="For a folder of a model alone: its scheduler_config.json.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite another model of this name.")] = False,
    json: Json = False,
) -> None:
    """Make a model of a checkpoint for `denoiser: {name: pretrained, model: models/NAME}`, without executing the file.

    Network and scalings are read from EDM's and EDM2's network-snapshot-*.pkl,
    EDM's training-state-*.pt, PhysicsNeMo's .mdlus, and folders of diffusers.

    Weights alone (.pt, .pth, .safetensors) need --network, the code that builds their network, --rows, the scalings
    that it was trained with, and --shape. Only the code that you name is executed; objects beside the weights are read
    as labels and numbers.

    The model is kept if all weights fit and its denoiser is finite.

    Example: designspace import edm-cifar10-32x32-uncond-vp.pkl -o models/cifar10
    """
    with clean_errors():
        from designspace.importing.model import require_free
        from designspace.importing.read import read_model
        from designspace.storage.files import path_hash, reading

        with reading(path):
            path.stat()
        place = _place(path, out)
        sizes = None if shape is None else _sizes(shape)
        _require_of_use(path, folder=bool(scheduler), file=bool(key or network or rows or classes))
        given = None if path.is_dir() else _given(network, rows, sizes, classes)
        require_free(place, path_hash(path), force)
        model = read_model(path, key, given, scheduler=scheduler, shape=sizes)
        parameters = model.write(place, force=force)
    if json:
        print_json({"model": str(place), "parameters": parameters, "why": model.why} | model.about())
        return
    _print(model, place, parameters)


def _place(path: Path, out: Path | None) -> Path:
    """The files to write, without their endings."""
    from designspace.storage.locks import storing

    name = path.resolve().name
    stem = Path(name).stem if name.endswith(CHECKPOINTS) else name
    with storing(out or Path("models")):  # a name may be too long
        return out / stem if out and out.is_dir() else out or Path("models") / stem


def _require_of_use(path: Path, *, folder: bool, file: bool) -> None:
    """Stop if there are options for a ``folder`` although the path is a file, or the other way round."""
    if path.is_dir() and file:
        stop(2, f"{path} is a folder, which says what it holds: leave out --key, --network, --rows and --classes")
    if folder and not path.is_dir():
        stop(2, f"{path} is a file: --scheduler is for a folder of diffusers")


def _given(network: str | None, rows: str | None, shape: tuple[int, ...] | None, classes: int) -> Given | None:
    """What the options say about weights alone; ``None`` if they say nothing."""
    from designspace.importing.alone import Given
    from designspace.importing.rows import dumped
    from designspace.training.export import ROWS

    if network is None and rows is None and shape is None and not classes:
        return None
    if network is None or rows is None or shape is None:
        example = "--network ./model.py:make --rows edm --shape 3,32,32"
        stop(2, f"weights alone need --network, --rows and --shape, for instance {example}")
    design = _design(rows)
    found = dumped({row: getattr(design, row) for row in ROWS})
    return Given(_network(network), found, f"rows: {rows} (--rows)", shape, classes)


def _sizes(shape: str) -> tuple[int, ...]:
    sizes = shape.replace("x", ",").split(",")
    if not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
        stop(2, f"--shape {shape}: write the shape of a sample as C,H,W, for instance 3,32,32")
    return tuple(map(int, sizes))


def _network(text: str) -> dict[str, Any]:
    """The network that the user names."""
    import re

    import designspace as ds
    from designspace.cli.sets import component

    if re.fullmatch(r"[^{:]*\.py", text):
        stop(2, f"--network {text}: name the function in it that returns the network, for instance {text}:make")
    if re.fullmatch(r"[^{].*:[^\W\d]\w*", text):
        text = f"{{name: module, factory: '{text}'}}"
    found: dict[str, Any] = component(ds.Network, text, "--network").model_dump(mode="json")
    return found


def _design(text: str) -> Design:
    """The design whose rows the user names: a preset, with other rows and fields if it is a mapping."""
    import designspace as ds
    from designspace.cli.sets import validated
    from designspace.design import override, preset_rows
    from designspace.spec.document import parse

    data = parse(text, "--rows", lines=False).data
    rows = dict(data) if isinstance(data, dict) else {"preset": text}
    try:
        chosen = override(preset_rows(str(rows.pop("preset", "edm"))), rows)
    except ValueError as error:
        stop(2, f"--rows: {error}")
    found: Design = validated(ds.Design, chosen, "--rows")
    return found


def _print(model: Model, place: Path, parameters: int) -> None:
    from designspace.text import counted

    console = terminal()
    classes = f"{model.classes:,} classes" if model.classes else "unconditional"
    size = f"{parameters / 1e6:.1f} M parameters" if parameters >= 1e5 else counted(parameters, "parameter")
    shape = " x ".join(map(str, model.shape))
    console.print(f"{model.title}, {size}, {shape}, {classes}; {model.why}")
    for note in model.notes:
        console.print(f"note: {note}")
    licence = model.source.get("licence")
    console.print("; ".join(filter(None, ["nothing in the file was executed", licence])))
    where = "" if place.is_absolute() else " in this folder (elsewhere, write the absolute path)"
    console.print(f"\nIn YAML{where}:\n")
    console.print(f"denoiser: {{name: pretrained, model: {place}}}")
    console.print("\nor for any ablation whose data have this shape:\n")
    full = place.absolute()
    console.print(f"designspace run FILE.yaml --set 'denoiser={{name: pretrained, model: {full}}}'", soft_wrap=True)
