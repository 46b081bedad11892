"""Checks of data sets, detectors, references and metrics."""

from __future__ import annotations

import json
import math
import statistics

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Denoiser, Network
from designspace.design import Design
from designspace.errors import DataError
from designspace.evaluation.boundary import checked, features_of, known_of, measured, value_of
from designspace.evaluation.denoiser_probe import denoising
from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.rows import DenoiserMetric, Detector, Diagnostic, Metric, Observation, Reference
from designspace.registry.calling import described
from designspace.registry.isolation import Generators, drawn
from designspace.sampling.probe import Probe
from designspace.testing.assertions import SEEDS, require, require_error, require_finite, require_same
from designspace.testing.context import STAND_INS, Context

RESAMPLED, SMALL = 8, 10
"""The number of bootstrap samples of a metric's check, and by which factor its standard error may be smaller."""


def gives_uint8_images(data: Data) -> None:
    """Pixels are uint8 [N, C, H, W], each label is the number of a class, and the hash is reproducible."""
    images: object = data.load()
    require(isinstance(images, Images), "load()", "Images(pixels, labels, classes)", described(images))
    if isinstance(images, Images) and images.labels is not None:
        highest = int(images.labels.max())
        require(highest < len(images.classes), "the classes", f"{highest + 1} names or more", len(images.classes))
    _hashes_alike(data)


def gives_features(detector: Detector, given: Context = STAND_INS) -> None:
    """Features are float32 [B, d] for grey and for colour images, finite, and do not depend on the batch."""
    features = detector.load(torch.device("cpu"))
    for shape in given.shapes:
        pixels = torch.arange(5 * math.prod(shape)).reshape(5, *shape).to(torch.uint8)
        out, what = features_of(detector, features, pixels), f"the features of images with {shape[0]} channels"
        if detector.width is not None:
            require(out.shape[1] == detector.width, f"the number of {what}", detector.width, out.shape[1])
        require_finite(what, out)
        require_same(f"{what}, for an image alone", features(pixels[2:3]), out[2:3], rtol=1e-4, atol=1e-4)


def is_a_reference(reference: Reference, given: Context = STAND_INS) -> None:
    """The hash is reproducible, the description is plain data, and a detector that does not fit raises DataError."""
    _hashes_alike(reference)
    json.dumps(reference.about())
    for detector in given.detectors:
        try:
            moments = known_of(reference, detector).moments
        except DataError:
            continue
        require_finite(f"the mean of the features of {detector.name}", torch.as_tensor(moments.mean))


def measures_a_number(metric: Metric, given: Context = STAND_INS) -> None:
    """The value is finite and the same without its error, which is not far too small; influences are centred."""
    if isinstance(metric, Observation):
        return
    n = max(200, metric.least)
    if given.images is None:
        x = torch.randn(2 * n, metric.dimensions or 4, generator=torch.Generator().manual_seed(0))
    else:
        x = given.detectors[0].load(torch.device("cpu"))(given.images.pixels[: 2 * n])
    half = len(x) // 2
    found = _measured_alike(metric, Sample(x[:half]), Sample(x[half:]))
    alone = value_of(metric, Sample(x[:half]), Sample(x[half:]))
    require(_close(alone, found.value) or bool(drawn()), "the value alone", found.value, alone)
    _has_centred_influence(found, 1e-6 * abs(found.value))
    _is_as_uncertain_as_it_says(metric, found, x[:half], Sample(x[half:]))


def _measured_alike(metric: Metric, generated: Sample, reference: Sample) -> Measured:
    """What the metric measures, which must be the same again if the global generators are in the same state."""
    state = Generators(torch.device("cpu"))
    found = measured(metric, generated, reference)
    state.restore()
    again = measured(metric, generated, reference)
    for what, first, second in (("value", found.value, again.value), ("standard error", found.se, again.se)):
        same = first is second or (first is not None and second is not None and _close(first, second))
        require(same, f"the {what} a second time ({SEEDS})", first, second)
    return found


def _close(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=1e-6, abs_tol=1e-12)


def _is_as_uncertain_as_it_says(metric: Metric, found: Measured, x: Tensor, reference: Sample) -> None:
    """Compare the standard error and that of the influences with the spread of the value over bootstrap samples."""
    if found.se is None:
        return
    draw = torch.Generator().manual_seed(0)
    chosen = [torch.randint(len(x), (len(x),), generator=draw) for _ in range(RESAMPLED)]
    spread = statistics.stdev([metric.value(Sample(x[rows]), reference) for rows in chosen])
    least = f"at least {spread / SMALL:.3g}, a {SMALL}th of the spread of {RESAMPLED} bootstrap samples"
    require(found.se >= spread / SMALL, "the standard error", least, found.se)
    if found.influence is not None:
        of_mean = float(found.influence.std()) / len(x) ** 0.5
        require(of_mean >= spread / SMALL, "the standard deviation of the influence, divided by √n", least, of_mean)


def tells_distributions_apart(metric: Metric) -> None:
    """A shifted distribution has a worse value, or at least a different one."""
    if isinstance(metric, Observation):
        return
    x = torch.randn(200, metric.dimensions or 4, generator=torch.Generator().manual_seed(0))
    near, far = (metric.measure(Sample(x + shift), Sample(x.flip(0))) for shift in (0.01, 1.0))
    better = {False: near.value < far.value, True: near.value > far.value, None: near.value != far.value}
    side = {False: "above", True: "below", None: "other than"}[metric.higher_is_better]
    expected = f"{side} {near.value:.6g}, the value at distance 0.01"
    require(better[metric.higher_is_better], "the value at distance 1", expected, far.value)


def sees_what_the_denoiser_does(metric: DenoiserMetric) -> None:
    """The value is finite and reproducible, and the profile has a value at each of its levels."""
    pixels = torch.randint(256, (4, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    design = Design.preset("edm")
    network = Network.model_validate({"name": "mlp", "width": 4}).build((1, 2, 2))
    for parameter in network.parameters():
        parameter.data.add_(0.1)  # the weights of the output layer are zero at the start
    loaded = PreconditionedNetwork(network, design, (1, 2, 2))
    seen = denoising(Images(pixels), design, (loaded, None), 4, torch.device("cpu"), labelled=False)
    first = _repeats([checked(metric, metric.observe(seen), 4) for _ in range(2)])
    if first.profile is not None:
        for name, column in first.profile.columns().items():
            _is_a_profile(name, first.profile.sigma, column)


def sees_what_the_flow_does(metric: Diagnostic) -> None:
    """The value is finite and reproducible, and influences are centred."""
    latents = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    probe = Probe(Design.preset("edm"), _gaussian, latents, 8)
    probes = probe, Probe(probe.design, _gaussian, latents, 8)
    first = _repeats([checked(metric, metric.observe(each), 5) for each in probes])
    _has_centred_influence(first, 1e-6 * abs(first.value))
    if first.profile is not None:
        _is_a_profile("value", first.profile.sigma, first.profile.value)


def refuses_designs_that_draw_noise(metric: Diagnostic) -> None:
    """``check`` refuses designs that draw noise, since their samples do not follow the flow."""
    noisy = Design.preset("edm", stochasticity={"name": "churn", "S_churn": 10.0})
    with require_error(ValueError, "check() of a design that draws noise"):
        metric.check(noisy, Denoiser.get("exact")())


def _gaussian(x: Tensor, sigma: Tensor) -> Tensor:
    return x / (1 + 4 * sigma.to(x).reshape(-1, 1) ** 2)


def _hashes_alike(source: Data | Reference) -> None:
    first, again = source.content_hash(), source.content_hash()
    require(first == again, "content_hash() a second time", first, again)


def _repeats(found: list[Measured]) -> Measured:
    first, again = found
    require(first.value == again.value or bool(drawn()), "the value a second time", first.value, again.value)
    return first


def _has_centred_influence(found: Measured, atol: float) -> None:
    if (influence := found.influence) is None:
        return
    bound = 1e-3 * float(influence.abs().max()) + atol
    mean = float(influence.mean())
    require(abs(mean) <= bound, "the mean of the influence", f"0 within {bound:.4g}", mean)


def _is_a_profile(name: str, sigma: Tensor, column: Tensor) -> None:
    require(column.shape == sigma.shape, f"the shape of the profile's {name}", list(sigma.shape), list(column.shape))
    require(bool((sigma > 0).all()), "the noise levels of the profile", "positive numbers", sigma[~(sigma > 0)])
