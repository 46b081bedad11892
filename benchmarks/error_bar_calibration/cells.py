"""The distributions that are drawn from, whose Fréchet distance from a reference is known."""

from __future__ import annotations

import math
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

APART = {"equal": (0.0, 1.0), "near": (0.1, 1.05), "apart": (0.3, 1.2), "far": (1.0, 1.5)}
"""Shift of the mean and stretch, both in standard deviations of the reference."""
WIDTH = {"gaussian": 0.0, "lognormal 0.5": 0.5, "lognormal 0.8": 0.8, "dominant": 0.0, "two samples": 0.0}
"""Families of distributions, and the standard deviation of the logarithm of those that are log-normal."""
SHARED, STRETCH, CORRELATION = 0.9, 1.02, 0.99
"""The correlation of two equal trials on the same latents, and stretch and correlation of a trial that differs."""
POPULATION = 10_000
SETS = ("test", "digits", "equal")


@dataclass(frozen=True)
class Cell:
    """A distribution, the number of images of a draw, and how many draws."""

    family: str
    difference: str
    d: int
    n: int
    m: int
    """The number of images of the reference, 0 if its moments are known exactly."""
    draws: int

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.family} {self.difference} d = {self.d} n = {self.n}" + (f" m = {self.m}" if self.m else "")


@dataclass(frozen=True)
class Population:
    """``draw(generator, n)`` gives n images of up to three trials on the same latents.

    ``first`` is the trial itself, ``equal`` one of the same distribution, and ``other`` one of another distribution.
    """

    draw: Callable[[np.random.Generator, int], dict[str, Tensor]]
    sd: Tensor
    """The reference has mean 0 and covariance diag(sd^2)."""
    truth: float
    other_truth: float | None


def cells(draws: int, lite0_draws: int) -> list[Cell]:
    """All of them; a third of the draws in 64 dimensions."""
    near = ("equal", "near", "apart")
    asked = [("gaussian", how, d, times) for times, d, how in product((10, 20, 3), (4, 8, 16, 64), APART)]
    asked += [
        (f"lognormal {w}", how, d, times) for w, times, d, how in product((0.5, 0.8), (10, 20), (4, 16, 64), near)
    ]
    asked += [("dominant", how, 64, times) for times, how in product((10, 20), near)]
    found = [Cell(family, how, d, times * d, 0, draws if d < 64 else draws // 2) for family, how, d, times in asked]
    two = product((8, 32), near, ((10, 10), (20, 40)))
    found += [Cell("two samples", how, d, n * d, m * d, draws) for d, how, (n, m) in two]
    real = [*product((10, 20), (32, 64), SETS), *product((10,), (320,), SETS)]
    return found + [Cell("lite0", how, d, n * d, 0, lite0_draws if d < 320 else lite0_draws // 4) for n, d, how in real]


def reference(sd: Tensor) -> Moments:
    """The reference, of which the moments are known."""
    return Moments(10**9, torch.zeros(len(sd)), torch.diag(sd**2))


def population(cell: Cell) -> Population:
    """What the cell draws from."""
    if cell.family == "lite0":
        return _lite0(cell.difference, cell.d)
    return _synthetic(cell.family, cell.d, *APART[cell.difference])


def _synthetic(family: str, d: int, shift: float, stretch: float) -> Population:
    """Standard deviations fall as k^(-1/2), or are 1 in one dominant direction and 0.1 in all others."""
    sd = torch.arange(1, d + 1, dtype=torch.float64) ** -0.5
    if family == "dominant":
        sd = torch.cat([torch.ones(1), torch.full((d - 1,), 0.1)]).double()

    def standard(z: Tensor) -> Tensor:
        """Mean 0 and standard deviation 1."""
        if not (w := WIDTH[family]):
            return z
        return (torch.exp(w * z - w**2 / 2) - 1) / math.sqrt(math.expm1(w**2))

    def draw(generator: np.random.Generator, n: int) -> dict[str, Tensor]:
        z, more = torch.from_numpy(generator.standard_normal((2, n, d)))
        equal, other = (r * z + (1 - r**2) ** 0.5 * more for r in (SHARED, CORRELATION))
        stretches = {"first": (z, stretch), "equal": (equal, stretch), "other": (other, STRETCH * stretch)}
        return {name: (wide * standard(v) + shift) * sd for name, (v, wide) in stretches.items()}

    def truth(stretch: float) -> float:
        return float((shift**2 + (stretch - 1) ** 2) * sd.square().sum())

    return Population(draw, sd, truth(stretch), truth(STRETCH * stretch))


def _lite0(which: str, d: int) -> Population:
    """Draws, with replacement, from all images of a set: their features are the whole distribution.

    They are the first d principal components of the reference's: distances do not depend on the axes. Two equal trials
    share nine tenths of their images; the other trial of ``test`` has noise on its images.
    """
    mean, cov = _whole(_features("train"))
    squares, axes = (found.flip(-1)[..., :d] for found in torch.linalg.eigh(cov))
    features = (_features(which if which != "equal" else "train").double() - mean) @ axes
    other = (_features("noisy").double() - mean) @ axes if which == "test" else None

    def draw(generator: np.random.Generator, n: int) -> dict[str, Tensor]:
        chosen, more = generator.integers(len(features), size=(2, n))
        equal = np.where(generator.random(n) < SHARED, chosen, more)
        found = {"first": features[chosen], "equal": features[equal]}
        return found | ({} if other is None else {"other": other[chosen]})

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
