"""The command distance: compare two sets of images with the metrics and the protocol used for trials."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from designspace.cli.errors import clean_errors, print_json, stop
from designspace.cli.options import Device, Json, one_device
from designspace.cli.sets import component, data_set, reference_set, refuse_observations, usable_metrics
from designspace.results.uncertainty import LEAST

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from designspace.data.rows import Data
    from designspace.evaluation.measure import Sample
    from designspace.evaluation.rows import Detector, Metric, Reference
    from designspace.results.records import MetricValue, Protocol

CHUNK = 200
RESIZE = "resize one set, for instance with '{name: folder, path: a, size: 64, crop: center}'"
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
    from designspace.results.caveats import unseeded
    from designspace.text import number

    with clean_errors():
        network = component(ds.Detector, detector, "--detector")
        metrics = [component(ds.Metric, name, "--metric") for name in metric or DEFAULT]
        refuse_observations(metrics)
        n, values, about, drew = _compare(data_set(a), reference_set(b), network, metrics, images, device, bool(metric))
        about = about.model_copy(update={"stands_for": _stands_for(reference_is, about)})
        too_low = (_too_low(name, value, about) for name, value in values.items())
        for warning in filter(None, (*unseeded(drew), *too_low)):
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
) -> tuple[int, dict[str, MetricValue], Protocol, list[str]]:
    """The number of images that are compared, the metrics by name, the protocol, and the components that drew.

    Components that draw from global generators get the same numbers each time, as they do in a trial.
    """
    import torch

    from designspace.data.rows import Data
    from designspace.evaluation.boundary import known_of
    from designspace.evaluation.evaluate import drawn, measure, record
    from designspace.evaluation.measure import Summary
    from designspace.evaluation.products import computing_on
    from designspace.registry.isolation import isolated
    from designspace.results.caveats import few_effective, too_few_images
    from designspace.storage.files import content_key

    device = one_device(device)
    key = content_key(detector.identity(), [metric.identity() for metric in metrics])
    try:
        with isolated(torch.device(device), "distance", key) as drew, computing_on(torch.device(device)):
            other = of if isinstance(of, Data) else known_of(of, detector)
            if isinstance(other, Summary):
                metrics = usable_metrics(metrics, asked)
            generated, reference = _samples(a, other, detector, count, torch.device(device))
            draws = None if isinstance(reference, Summary) else partial(drawn, reference=reference, n=len(generated))
            found = measure(metrics, detector, generated, reference, drawn=draws)
            values = {name: value for name, (value, _) in found.items()}
            about = record(detector, of, reference, images=len(generated), pixels="uint8 as given")
    except ValueError as error:
        stop(2, str(error))
    size = (about.reference or {}).get("images") or len(generated)
    few = too_few_images(min(len(generated), size), generated.features.shape[1], values)
    for warning in filter(None, (few, few_effective(values), _unlike(a, of, about))):
        warnings.warn(warning, stacklevel=2)
    return len(generated), values, about, sorted(drew)


def _samples(
    a: Data, b: Data | Sample, detector: Detector, count: int | None, device: torch.device
) -> tuple[Sample, Sample]:
    """The features of both sets; if only the moments of the reference are known, these."""
    from designspace.evaluation.measure import Sample
    from designspace.registry.calling import calling
    from designspace.registry.memory import Fitting

    with calling(a):
        pixels = a.each()
    pixels = _some(pixels, count)
    with calling(detector):
        network = Fitting(detector.load(device))
    generated = _features(detector, network, pixels)
    if isinstance(b, Sample):
        return generated, b
    with calling(b):
        other = b.each()
    reference = _features(detector, network, other)
    if (d := generated.features.shape[1]) != (theirs := reference.features.shape[1]):
        shapes = f"images of {list(pixels[0].shape)} and of {list(other[0].shape)}"
        stop(2, f"{shapes} have {d} and {theirs} features: {RESIZE}")
    return generated, reference


def _unlike(a: Data, of: Data | Reference, about: Protocol) -> str:
    """A warning if only one of two sets of images was compressed with loss; empty otherwise."""
    from designspace.data.rows import Data
    from designspace.results.caveats import unlike_compressed

    files = a.files_read()
    return unlike_compressed(None if files is None else files.formats, about.formats) if isinstance(of, Data) else ""


def _some(images: list[Tensor], count: int | None) -> list[Tensor]:
    from designspace.sampling.noise import generator

    if count is None:
        return images
    if count > len(images):
        stop(2, f"--images {count}: there are only {len(images)} images")
    return [images[k] for k in generator("distance").permutation(len(images))[:count]]


def _features(detector: Detector, network: Any, images: list[Tensor]) -> Sample:
    """The features of ``images`` in their order, with a progress bar on a terminal.

    Images of one size and mode share chunks. They may differ only if the detector resizes them, so that the number of
    features is the same for all.
    """
    import torch

    from designspace.bars import shown
    from designspace.evaluation.boundary import features_of, joined
    from designspace.evaluation.measure import Sample

    alike: dict[tuple[int, ...], list[int]] = {}
    for k, image in enumerate(images):
        alike.setdefault(tuple(image.shape), []).append(k)
    if len(alike) > 1 and detector.width is None:
        one, other = [list(shape) for shape in alike][:2]
        stop(2, f"images of {one} and of {other}: detector {detector.name} needs images of one size: {RESIZE}")
    chunks = [group[start : start + CHUNK] for group in alike.values() for start in range(0, len(group), CHUNK)]
    seen = (features_of(detector, network, torch.stack([images[k] for k in chunk])) for chunk in chunks)
    found = joined(detector, list(shown(seen, "features", len(chunks))), len(images))
    return Sample(found.features[torch.tensor([k for chunk in chunks for k in chunk]).argsort()])
