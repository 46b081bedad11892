"""The command distance: two image sets compared as trials are."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from designspace.commands.arguments import component, data_set
from designspace.commands.errors import clean_errors, print_json, stop

if TYPE_CHECKING:
    from torch import Tensor

    from designspace.rows import Data, Detector, Metric

CHUNK = 200


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
    from designspace.report.caption import halves_are

    with clean_errors():
        network = component(ds.Detector, detector, "--detector")
        metrics = [component(ds.Metric, name, "--metric") for name in metric]
        sets = [data_set(place) for place in (a, b)]
        found = _compare(sets, network, metrics, images, device)
    if json:
        print_json(found)
        return
    n, size = found["images"], found["reference"]
    for name, value in found["metrics"].items():
        se = "" if value["se"] is None else f" ± {value['se']:.3g}"
        if "bias_corrected" in value:
            se += f" (without bias {value['bias_corrected']:.4g} ± {value['bias_corrected_se']:.3g})"
        floor = f"{halves_are(value['higher_is_better'])} {value['floor']:.4g} at n' = {value['floor_n']}"
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
