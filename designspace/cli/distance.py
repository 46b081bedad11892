"""The command distance: compare two sets of images with the metrics and the protocol used for trials."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from designspace.cli.errors import clean_errors, print_json, stop, terminal
from designspace.cli.options import Device, Json, require_device
from designspace.cli.sets import component, data_set, reference_set, refuse_observations, usable_metrics
from designspace.results.uncertainty import LEAST

if TYPE_CHECKING:
    from torch import Tensor

    from designspace.data.rows import Data
    from designspace.evaluation.rows import Detector, Metric, Reference
    from designspace.results.records import MetricValue, Protocol

CHUNK = 200
DEFAULT = ("frechet", "kid")
LOW = 3
"""The number of standard errors by which a corrected distance may lie below 0."""


def distance(
    a: Annotated[str, typer.Argument(help="Generated images: a folder, a zip, an npz, or the name of a data set.")],
    b: Annotated[str, typer.Argument(help="The reference: as A, or an npz of statistics (mu and sigma, or feats).")],
    detector: Annotated[str, typer.Option(help="As in YAML: inception, '{name: lite0, size: 128}'.")] = "lite0",
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric; can be repeated. Default: frechet and kid.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=2, help="Use this many images of A, drawn at random.")] = None,
    reference_is: Annotated[
        Literal["sample", "population", "auto"],
        typer.Option(help="What B stands for; auto: a sample, or a population if only its statistics are known."),
    ] = "auto",
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Compare two sets of images: each metric with its standard error, number of images n, drawn reference, protocol.

    A Fréchet distance of few images is too high. If B is a sample of a distribution, the distance to that distribution
    is estimated by correcting for the bias of both A and B; if B is the population itself, for that of A alone. If A
    may share images with B, or copy them, the two are not independent samples: use --reference-is population.

    The drawn reference is the score of n images drawn from the reference itself: mean ± standard deviation of 8 draws.
    A Fréchet distance is called FID only with --detector inception. If the reference consists only of a mean and a
    covariance, as distributed with EDM, ADM and clean-fid, there is neither a drawn reference nor a KID;
    '{name: statistics, path: b.npz, images: 50000}' also states its number of images.

    Example: designspace distance samples/ digits --detector lite0
    """
    import designspace as ds
    from designspace.text import number

    with clean_errors():
        network = component(ds.Detector, detector, "--detector")
        metrics = [component(ds.Metric, name, "--metric") for name in metric or DEFAULT]
        refuse_observations(metrics)
        n, values, about = _compare(data_set(a), reference_set(b), network, metrics, images, device, asked=bool(metric))
        about = about.model_copy(update={"stands_for": _stands_for(reference_is, about)})
        for warning in filter(None, (_too_low(name, value, about) for name, value in values.items())):
            warnings.warn(warning, stacklevel=2)
    known = about.reference and about.reference["images"]
    if json:
        measured = {name: value.plain() for name, value in values.items()}
        print_json({"images": n, "reference": known, "metrics": measured, "protocol": about.plain()})
        return
    size = known or "an unknown number"
    for name, value in values.items():
        se = "" if value.se is None else f" ± {value.se:.3g}"
        se += _without_bias(name, value, about)
        low = "no drawn reference"
        if value.drawn is not None and value.drawn_sd is not None:
            low = f"drawn reference {number(value.drawn, value.drawn_sd)} ± {value.drawn_sd:.2g}"
        typer.echo(f"{value.protocol} ({name}): {value.value:.5g}{se}, n = {n} against {size}, {low}")


def _stands_for(asked: Literal["sample", "population", "auto"], about: Protocol) -> Literal["sample", "population"]:
    moments = (about.reference or {}).get("known") == "moments"
    if asked == "sample" and moments:
        stop(2, "--reference-is sample needs the images of the reference or their features, not only their moments")
    return asked if asked != "auto" else "population" if moments else "sample"


def _without_bias(name: str, value: MetricValue, about: Protocol) -> str:
    if value.bias_corrected is None:
        few = f" (A has fewer than {LEAST} images per feature, too few to correct for its bias)"
        return few if name == "frechet" else ""
    if about.stands_for == "population":
        return f" (without the bias of A: {value.bias_corrected:.4g} ± {value.bias_corrected_se:.3g})"
    if value.both_corrected is None:
        return f" (B has too few images to correct for its bias; without that of A: {value.bias_corrected:.4g})"
    return f" (without the bias of A and B: {value.both_corrected:.4g} ± {value.both_corrected_se:.3g})"


def _too_low(name: str, value: MetricValue, about: Protocol) -> str:
    """A warning if the corrected distance, which is printed, is lower than chance explains; empty otherwise."""
    population = about.stands_for == "population"
    found, se = value.bias_corrected, value.bias_corrected_se
    if not population:
        found, se = value.both_corrected, value.both_corrected_se
    if found is None or se is None or found >= -LOW * se:
        return ""
    text = f"{name} without bias is more than {LOW} standard errors below 0"
    if population:
        return f"{text}: A agrees with B better than random draws from B do, as a part of B without repetitions does"
    copies = "A and B may share images, or A may be a copy of B's distribution"
    return f"{text}: {copies}; --reference-is population does not assume independent samples"


def _compare(
    a: Data,
    of: Data | Reference,
    detector: Detector,
    metrics: list[Metric],
    count: int | None,
    device: str,
    asked: bool,
) -> tuple[int, dict[str, MetricValue], Protocol]:
    """The number of images that are compared, the metrics by name, and the protocol."""
    import torch

    from designspace.data.rows import Data
    from designspace.evaluation.evaluate import drawn, measure, record
    from designspace.evaluation.measure import Sample, Summary
    from designspace.results.caveats import few_effective, too_few_images

    require_device(device)
    known = None if isinstance(of, Data) else of.load(detector)
    if isinstance(known, Summary):
        metrics = usable_metrics(metrics, asked)
    pixels = _some(a.load().pixels, count)
    other = of.load().pixels if isinstance(of, Data) else None
    network = detector.load(torch.device(device))
    generated = Sample(_features(network, pixels))
    reference = Sample(_features(network, other)) if other is not None else known
    assert reference is not None
    if other is not None and (d := generated.features.shape[1]) != (theirs := reference.features.shape[1]):
        shapes = f"images of {list(pixels.shape[1:])} and of {list(other.shape[1:])}"
        stop(2, f"{shapes} have {d} and {theirs} features: resize one set")

    try:
        found = measure(metrics, detector, generated, reference, lambda metric: None)
        values = {name: value for name, (value, _) in found.items()}
        for metric in () if isinstance(reference, Summary) else metrics:
            mean, sd = drawn(metric, reference, len(generated))
            values[metric.name] = values[metric.name].model_copy(update={"drawn": mean, "drawn_sd": sd})
    except ValueError as error:
        stop(2, str(error))
    about = record(detector, of, reference, images=len(generated), pixels="uint8 as given")
    size = (about.reference or {}).get("images") or len(generated)
    few = too_few_images(min(len(generated), size), generated.features.shape[1], values)
    for warning in filter(None, (few, few_effective(values))):
        warnings.warn(warning, stacklevel=2)
    return len(generated), values, about


def _some(pixels: Tensor, count: int | None) -> Tensor:
    import torch

    from designspace.sampling.noise import generator

    if count is None:
        return pixels
    if count > len(pixels):
        stop(2, f"--images {count}: there are only {len(pixels)} images")
    return pixels[torch.from_numpy(generator("distance").permutation(len(pixels))[:count])]


def _features(network: Any, pixels: Tensor) -> Tensor:
    """The features of ``pixels``, computed in chunks, with a progress bar on a terminal."""
    import torch
    from rich.progress import track

    console = terminal(stderr=True)
    starts = range(0, len(pixels), CHUNK)
    shown = track(starts, "features", console=console, disable=not sys.stderr.isatty(), transient=True)
    return torch.cat([network(pixels[start : start + CHUNK]) for start in shown])
