"""The command distance: two image sets compared as trials are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from designspace.commands.errors import clean_errors, print_json, stop

if TYPE_CHECKING:
    from designspace.rows import Data, Metric


def distance(
    a: Annotated[str, typer.Argument(help="Generated images: a folder, a zip, an npz, or the name of a data set.")],
    b: Annotated[str, typer.Argument(help="The reference, likewise.")],
    detector: Annotated[str, typer.Option(help="The feature network.")] = "lite0",
    metric: Annotated[list[str], typer.Option(help="Metrics; may be repeated.")] = ["frechet", "kid"],  # noqa: B006
    images: Annotated[int | None, typer.Option(min=2, help="Use the first so many images of A.")] = None,
    device: Annotated[str, typer.Option(help="Of PyTorch.")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two image sets: each metric with its standard error, its floor, n and protocol.

    Example: designspace distance samples/ digits --detector lite0
    """
    import torch

    import designspace as ds
    from designspace.evaluation.evaluate import measure
    from designspace.evaluation.floor import floor
    from designspace.evaluation.measure import Sample

    with clean_errors():
        network = _named(ds.Detector, detector)
        metrics = [_named(ds.Metric, name) for name in metric]
        pixels = [_data(place).load().pixels for place in (a, b)]
        features = network.load(torch.device(device))
        generated, reference = (Sample(features(p)) for p in (pixels[0][:images], pixels[1]))

        def low(of: Metric) -> tuple[float, int]:
            return floor(of, reference, len(generated))

        values, _ = measure(metrics, network, generated, reference, low)
    if json:
        print_json({"images": len(generated), "reference": len(reference), "metrics": values})
        return
    for name, value in values.items():
        se = "not available" if value["se"] is None else f"{value['se']:.3g}"
        typer.echo(
            f"{value['protocol']}: {value['value']:.4g} ± {se} ({name}, n = {len(generated)} against "
            f"{len(reference)}; floor {value['floor']:.3g} at n' = {value['floor_n']})"
        )


def _data(place: str) -> Data:
    """The data set that ``place`` names: a path, or a data set by name."""
    import designspace as ds

    path = Path(place)
    kind = "folder" if path.is_dir() else {".zip": "zip", ".npz": "npz"}.get(path.suffix) if path.exists() else None
    if kind:
        return ds.Data.get(kind).model_validate({"path": path})
    if path.suffix or "/" in place:
        stop(2, f"{place}: no such folder, zip or npz")
    data: Data = _named(ds.Data, place)
    return data


def _named(row: Any, name: str) -> Any:
    """The component with its defaults; an unknown name, or one that needs fields, ends the command."""
    try:
        return row.get(name)()
    except ValueError as error:
        first = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
        stop(2, f"{row.row} {name}: {first}")
