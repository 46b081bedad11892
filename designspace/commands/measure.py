"""The command distance: two image sets compared as trials are."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from designspace.commands.errors import clean_errors, print_json, stop

if TYPE_CHECKING:
    from torch import Tensor

    from designspace.rows import Data, Detector, Metric

CHUNK = 200
FILES = {".zip": "zip", ".npz": "npz"}


def distance(
    a: Annotated[str, typer.Argument(help="Generated images: a folder, a zip, an npz, or the name of a data set.")],
    b: Annotated[str, typer.Argument(help="The reference, likewise.")],
    detector: Annotated[str, typer.Option(help="As in YAML: inception, '{name: lite0, size: 128}'.")] = "lite0",
    metric: Annotated[list[str], typer.Option(help="A metric; may be repeated.")] = ["frechet", "kid"],  # noqa: B006
    images: Annotated[int | None, typer.Option(min=2, help="Use this many images of A, drawn at random.")] = None,
    device: Annotated[str, typer.Option(help="Of PyTorch: cpu, cuda, cuda:1.")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
) -> None:
    """Compare two image sets: each metric with its standard error, n, the floor, and the protocol it is named by.

    The floor is what the reference itself scores, one half against the other. A Fréchet distance is called FID only
    with --detector inception.

    Example: designspace distance samples/ digits --detector lite0
    """
    import designspace as ds

    with clean_errors():
        network = _component(ds.Detector, detector, "--detector")
        metrics = [_component(ds.Metric, name, "--metric") for name in metric]
        sets = [_data(place) for place in (a, b)]
        found = _compare(sets, network, metrics, images, device)
    if json:
        print_json(found)
        return
    n, size = found["images"], found["reference"]
    for name, value in found["metrics"].items():
        se = "" if value["se"] is None else f" ± {value['se']:.3g}"
        if "bias_corrected" in value:
            se += f" (without bias {value['bias_corrected']:.4g} ± {value['bias_corrected_se']:.3g})"
        floor = f"floor {value['floor']:.4g} at n' = {value['floor_n']}"
        typer.echo(f"{value['protocol']} ({name}): {value['value']:.5g}{se}, n = {n} against {size}, {floor}")


def _compare(
    sets: list[Data], detector: Detector, metrics: list[Metric], count: int | None, device: str
) -> dict[str, Any]:
    import torch

    from designspace.commands.runs import usable
    from designspace.evaluation.evaluate import measure
    from designspace.evaluation.floor import floor
    from designspace.evaluation.measure import Sample
    from designspace.keyed import generator

    usable(device)
    a, b = (data.load().pixels for data in sets)
    if count is not None and count > len(a):
        stop(2, f"--images {count}: there are only {len(a)}")
    if count is not None:
        a = a[torch.from_numpy(generator("distance").permutation(len(a))[:count])]
    network = detector.load(torch.device(device))
    generated, reference = (Sample(_features(network, pixels)) for pixels in (a, b))
    d, other = generated.features.shape[1], reference.features.shape[1]
    if d != other:
        stop(2, f"images of {list(a.shape[1:])} and of {list(b.shape[1:])}: {d} and {other} features; resize one set")

    def low(metric: Metric) -> tuple[float, int]:
        return floor(metric, reference, len(generated))

    try:
        values = {name: row for name, (row, _) in measure(metrics, detector, generated, reference, low).items()}
    except ValueError as error:
        stop(2, str(error))
    if (n := min(len(generated), len(reference))) < 10 * d and any(metric.name == "frechet" for metric in metrics):
        warnings.warn(f"{n} images are fewer than 10 x {d} features: Fréchet distances are too high", stacklevel=2)
    return {"images": len(generated), "reference": len(reference), "metrics": values}


def _features(network: Any, pixels: Tensor) -> Tensor:
    """In chunks, with a bar on a terminal."""
    import torch
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    starts = range(0, len(pixels), CHUNK)
    shown = track(starts, "features", console=console, disable=not sys.stderr.isatty(), transient=True)
    return torch.cat([network(pixels[start : start + CHUNK]) for start in shown])


def _data(place: str) -> Data:
    """The data set that ``place`` names: a path, or a data set as in YAML."""
    import designspace as ds

    path = Path(place)
    if path.exists():
        kind = "folder" if path.is_dir() else FILES.get(path.suffix.lower())
        if kind is None:
            stop(2, f"{place}: neither a folder nor a zip nor an npz")
        return ds.Data.get(kind).model_validate({"path": path})
    if path.suffix.lower() in FILES or ("/" in place and not place.startswith("{")):
        stop(2, f"{place}: no such folder, zip or npz")
    data: Data = _component(ds.Data, place, place)
    return data


def _component(row: Any, text: str, where: str) -> Any:
    """A component as in YAML, ``lite0`` or ``{name: lite0, size: 128}``; errors end the command."""
    from pydantic import ValidationError

    from designspace.spec.document import parse
    from designspace.spec.errors import SpecError, dotted, what

    document = parse(text, where, lines=False)
    if document.problems:
        raise SpecError(document.problems)
    try:
        return row.model_validate(document.data)
    except ValidationError as error:
        stop(2, *(": ".join(filter(None, (where, dotted(e["loc"]), what(e)))) for e in error.errors()))
