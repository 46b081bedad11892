"""What is drawn from: distributions whose Fréchet distance from a reference is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

import designspace as ds
from designspace.cache import Cache, content_key
from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Moments

Draw = Callable[[np.random.Generator, int], tuple[Tensor, Tensor | None]]
APART = {"equal": (0.0, 1.0), "near": (0.1, 1.05), "apart": (0.3, 1.2), "far": (1.0, 1.5)}
"""Shift of the mean and stretch, both in standard deviations of the reference."""
POPULATION = 10_000
SIZES = {"test": (3200, 1600, 960), "noisy": (3200, 1600, 960), "equal": (3200,), "digits": (3200,)}


@dataclass(frozen=True)
class Cell:
    """A distribution, the number of images of a draw, and how many draws."""

    family: str
    difference: str
    d: int
    n: int
    draws: int


@dataclass(frozen=True)
class Known(Sample):
    """A reference of which the moments are known."""

    moments: Moments


@dataclass(frozen=True)
class Population:
    """``draw(generator, n)``: n images, and those of a second trial on the same latents, if there is one."""

    draw: Draw
    reference: Known
    truth: float
    other_truth: float | None


def cells(gaussian_draws: int, lite0_draws: int) -> list[Cell]:
    """All of them, the quick ones first."""
    gaussian = [
        Cell("gaussian", how, d, times * d, gaussian_draws)
        for d, times, how in product((4, 16, 64), (3, 5, 10, 20), APART)
    ]
    return gaussian + [Cell("lite0", how, 320, n, lite0_draws) for how, sizes in SIZES.items() for n in sizes]


def population(cell: Cell) -> Population:
    """What the cell draws from."""
    return _gaussian(cell.d, *APART[cell.difference]) if cell.family == "gaussian" else _lite0(cell.difference)


def _gaussian(d: int, shift: float, stretch: float) -> Population:
    """Standard deviations fall as k^(-1/2). The second trial is 2 % wider, and correlated by 0.99."""
    sd = torch.arange(1, d + 1, dtype=torch.float64) ** -0.5

    def draw(generator: np.random.Generator, n: int) -> tuple[Tensor, Tensor]:
        z, other = torch.from_numpy(generator.standard_normal((2, n, d)))
        return (stretch * z + shift) * sd, (1.02 * stretch * (0.99 * z + (1 - 0.99**2) ** 0.5 * other) + shift) * sd

    def truth(stretch: float) -> float:
        return float((shift**2 + (stretch - 1) ** 2) * sd.square().sum())

    reference = Known(torch.empty(0, d), Moments(10**9, torch.zeros(d), torch.diag(sd**2)))
    return Population(draw, reference, truth(stretch), truth(1.02 * stretch))


def _lite0(which: str) -> Population:
    """Draws, with replacement, from all images of a set: their features are the whole distribution."""
    features, reference = _features(which if which != "equal" else "train"), _known(_features("train"))
    pair = {"test": "noisy", "noisy": "test"}.get(which)
    other = None if pair is None else _features(pair)

    def draw(generator: np.random.Generator, n: int) -> tuple[Tensor, Tensor | None]:
        chosen = torch.from_numpy(generator.integers(len(features), size=n))
        return features[chosen], None if other is None else other[chosen]

    def truth(of: Tensor) -> float:
        return ds.frechet(_known(of).moments, reference.moments)

    return Population(draw, reference, truth(features), None if other is None else truth(other))


def _known(features: Tensor) -> Known:
    """The moments of a population, which has no degree of freedom to lose."""
    found, n = Moments.of(features), len(features)
    return Known(features, Moments(n, found.mean, found.cov * ((n - 1) / n)))


@cache
def _features(which: str) -> Tensor:
    """Fashion-MNIST's first 10,000 of ``train`` and ``test``, ``noisy`` test images, and the ``digits``."""
    detector = ds.Detector.get("lite0")()

    def make() -> dict[str, Tensor]:
        network, pixels = detector.load(torch.device("cpu")), _pixels(which)
        return {"features": torch.cat([network(pixels[i : i + 500]) for i in range(0, len(pixels), 500)])}

    key = content_key("error bars", which, POPULATION, detector.identity())
    return Cache().get_or_make("features", key, make)["features"]


def _pixels(which: str) -> Tensor:
    """uint8; the noise has a standard deviation of 2 levels."""
    if which == "digits":
        return ds.Data.get("digits")().load().pixels
    data = ds.Data.get("fashion_mnist").model_validate({"size": 32, "split": "train" if which == "train" else "test"})
    pixels = data.load().pixels[:POPULATION]
    if which != "noisy":
        return pixels
    noise = 2 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    return (pixels.float() + noise).round().clip(0, 255).byte()
