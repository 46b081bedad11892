"""What data sets, detectors and metrics owe."""

from __future__ import annotations

import math

import torch

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.denoising.rows import Network
from designspace.design import Design
from designspace.evaluation.rows import DenoiserMetric, Detector, Metric, Observation


def gives_uint8_images(data: Data) -> None:
    """NCHW, labels among the classes, a hash that stays."""
    images = data.load()
    assert images.pixels.dtype == torch.uint8
    assert images.pixels.ndim == 4
    assert images.labels is None or images.labels.shape == (len(images),)
    assert data.content_hash() == data.content_hash()


def gives_features(detector: Detector) -> None:
    """float32 [B, d], for grey and colour, whatever the batch."""
    features = detector.load(torch.device("cpu"))
    for channels in (1, 3):
        pixels = torch.arange(5 * channels * 64).reshape(5, channels, 8, 8).to(torch.uint8)
        out = features(pixels)
        assert out.dtype == torch.float32
        assert out.ndim == 2
        torch.testing.assert_close(features(pixels[2:3]), out[2:3], rtol=1e-4, atol=1e-4)


def tells_distributions_apart(metric: Metric) -> None:
    """Further apart is worse, or at least another value; and influences are centred."""
    from designspace.evaluation.measure import Sample

    if isinstance(metric, Observation):
        return
    x = torch.randn(200, metric.dimensions or 4, generator=torch.Generator().manual_seed(0))
    near, far = (metric.measure(Sample(x + shift), Sample(x.flip(0))) for shift in (0.01, 1.0))
    better = {False: near.value < far.value, True: near.value > far.value, None: near.value != far.value}
    assert better[metric.higher_is_better]
    if far.influence is not None:
        assert far.influence.shape == (200,)
        assert abs(float(far.influence.mean())) <= 1e-3 * float(far.influence.abs().max())


def sees_what_the_denoiser_does(metric: DenoiserMetric) -> None:
    """Finite, the same again, and a profile with a value at each of its levels."""
    from designspace.denoising.preconditioned import PreconditionedNetwork
    from designspace.evaluation.denoiser_probe import denoising

    pixels = torch.randint(256, (4, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    design = Design.preset("edm")
    network = Network.model_validate({"name": "mlp", "width": 4}).build((1, 2, 2))
    for parameter in network.parameters():
        parameter.data.add_(0.1)  # the output layer is zero at the start
    loaded = PreconditionedNetwork(network, design, (1, 2, 2))
    seen = denoising(Images(pixels), design, (loaded, None), 4, torch.device("cpu"), labelled=False)
    first, again = metric.observe(seen), metric.observe(seen)
    assert math.isfinite(first.value)
    assert first.value == again.value
    if first.profile is not None:
        assert all(column.shape == first.profile.sigma.shape for column in first.profile.columns().values())
        assert bool((first.profile.sigma > 0).all())
