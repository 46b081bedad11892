"""The distributions that are drawn from, whose Fréchet distance from a reference is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

import designspace as ds
from designspace.evaluation.moments import Moments
from designspace.storage.cache import Cache
from designspace.storage.files import content_key

Draw = Callable[[np.random.Generator, int], tuple[Tensor, Tensor | None]]
APART = {"equal": (0.0, 1.0), "near": (0.1, 1.05), "apart": (0.3, 1.2), "far": (1.0, 1.5)}
"""Shift of the mean and stretch, both in standard deviations of the reference."""
POPULATION = 10_000
SETS = ("test", "digits", "equal")


@dataclass(frozen=True)
class Cell:
    """A distribution, the number of images of a draw, and how many draws."""

    family: str
    difference: str
    d: int
    n: int
    draws: int


@dataclass(frozen=True)
class Population:
    """``draw(generator, n)``: n images, and those of a second trial on the same latents, if there is one."""

    draw: Draw
    sd: Tensor
    """The reference is N(0, diag(sd^2))."""
    truth: float
    other_truth: float | None


def cells(gaussian_draws: int, lite0_draws: int) -> list[Cell]:
    """All of them; the most wanted, n = 10 d, come first."""
    sizes = [*product((10, 3, 20), (4, 16, 64), APART)]
    gaussian = [Cell("gaussian", how, d, times * d, gaussian_draws) for times, d, how in sizes]
    real = [*product((10, 3, 20), (64,), SETS), *product((10,), (320,), SETS)]
    return gaussian + [Cell("lite0", how, d, times * d, lite0_draws) for times, d, how in real]


def reference(sd: Tensor) -> Moments:
    """The reference, of which the moments are known."""
    return Moments(10**9, torch.zeros(len(sd)), torch.diag(sd**2))


def population(cell: Cell) -> Population:
    """What the cell draws from."""
    if cell.family == "gaussian":
        return _gaussian(cell.d, *APART[cell.difference])
    return _lite0(cell.difference, cell.d)


def _gaussian(d: int, shift: float, stretch: float) -> Population:
    """Standard deviations fall as k^(-1/2). The second trial is 2 % wider, and correlated by 0.99."""
    sd = torch.arange(1, d + 1, dtype=torch.float64) ** -0.5

    def draw(generator: np.random.Generator, n: int) -> tuple[Tensor, Tensor]:
        z, other = torch.from_numpy(generator.standard_normal((2, n, d)))
        return (stretch * z + shift) * sd, (1.02 * stretch * (0.99 * z + (1 - 0.99**2) ** 0.5 * other) + shift) * sd

    def truth(stretch: float) -> float:
        return float((shift**2 + (stretch - 1) ** 2) * sd.square().sum())

    return Population(draw, sd, truth(stretch), truth(1.02 * stretch))


def _lite0(which: str, d: int) -> Population:
    """Draws, with replacement, from all images of a set: their features are the whole distribution.

    They are the first d principal components of the reference's: distances do not depend on the axes. The second trial
    of ``test`` has noise on its images.
    """
    mean, cov = _whole(_features("train"))
    squares, axes = (found.flip(-1)[..., :d] for found in torch.linalg.eigh(cov))
    features = (_features(which if which != "equal" else "train").double() - mean) @ axes
    other = (_features("noisy").double() - mean) @ axes if which == "test" else None

    def draw(generator: np.random.Generator, n: int) -> tuple[Tensor, Tensor | None]:
        chosen = torch.from_numpy(generator.integers(len(features), size=n))
        return features[chosen], None if other is None else other[chosen]

    def truth(of: Tensor) -> float:
        return ds.frechet(Moments(len(of), *_whole(of)), reference(squares.sqrt()))

    return Population(draw, squares.sqrt(), truth(features), None if other is None else truth(other))


def _whole(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a population, which has no degree of freedom to lose."""
    found, n = Moments.of(features), len(features)
    return found.mean, found.cov * ((n - 1) / n)


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
