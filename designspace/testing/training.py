"""Checks of the rows of the block *Training*."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from designspace.registry.calling import elementwise
from designspace.testing.assertions import SIGMAS, require, require_close, require_finite, require_same
from designspace.testing.context import STAND_INS, Context
from designspace.training.batches import augmented
from designspace.training.rows import EMA, Augmentation, DiscreteNoiseDistribution, LossWeight, NoiseDistribution

U = torch.linspace(0.001, 0.999, 99, dtype=torch.float64)


def draws_noise_levels(distribution: NoiseDistribution) -> None:
    """Levels are positive, monotone in u, and reproducible."""
    _drawn(distribution, "from_uniform(u)", distribution.from_uniform)
    first, second = (distribution.sample(7, torch.Generator().manual_seed(0)) for _ in range(2))
    require(first.shape == (7,), "the shape of sample(7)", [7], list(first.shape))
    require(first.dtype == torch.float64, "the dtype of sample(7)", torch.float64, first.dtype)
    require_close("sample(7) with the same seed again", second, first, rtol=0)


def has_the_density_of_its_quantiles(distribution: NoiseDistribution) -> None:
    """A density of its own is the one that follows from ``from_uniform``, unless the distribution changes."""
    if type(distribution).density in (NoiseDistribution.density, DiscreteNoiseDistribution.density):
        return
    fixed = distribution.adapted(torch.device("cpu")) is None
    require(fixed, "density(sigma)", "none, since the distribution changes in training", "a method of its own")
    sigma = distribution.from_uniform(torch.linspace(0.05, 0.95, 19, dtype=torch.float64))
    found = elementwise(distribution, "density(sigma)", distribution.density, sigma)
    expected = NoiseDistribution.density(distribution, sigma)
    require_close("density(sigma)", found, expected, rtol=1e-4, at=sigma)


def adapts_noise_levels(distribution: NoiseDistribution) -> None:
    """In training, levels are drawn from the distribution at first, and later from one that is a distribution, too."""
    if (levels := distribution.adapted(torch.device("cpu"))) is None:
        return
    what = "adapted(device).from_uniform(u)"
    sigma = _drawn(distribution, what, levels.from_uniform)
    require_close(f"{what} at the start", sigma, distribution.from_uniform(U), rtol=1e-6)
    for step in range(100):
        levels.see(sigma, (sigma.log().sin() + 2 + (step * sigma).sin()).float(), step)
        sigma = _drawn(distribution, f"{what} after {step + 1} steps", levels.from_uniform)


def learns_a_weight(weight: LossWeight) -> None:
    """A weight that is learned gives a finite loss for each error, with gradients for its parameters."""
    if (learned := weight.learned()) is None:
        return
    errors = torch.linspace(0.1, 2, len(SIGMAS))
    losses = learned(errors, SIGMAS)
    require(losses.shape == errors.shape, "the shape of learned()(errors, sigma)", [*errors.shape], [*losses.shape])
    require_finite("learned()(errors, sigma)", losses)
    losses.sum().backward()
    without = [name for name, parameter in learned.named_parameters() if parameter.grad is None]
    require(not without, "the gradients of learned()", "those of all parameters", f"none of {', '.join(without)}")


def _drawn(distribution: NoiseDistribution, what: str, quantiles: Callable[[Tensor], Tensor]) -> Tensor:
    """The levels for the quantiles ``U``."""
    sigma = elementwise(distribution, what, quantiles, U)
    require_finite(what, sigma)
    require(bool((sigma > 0).all()), what, "positive numbers", sigma[~(sigma > 0)])
    monotone = bool((sigma.diff() >= 0).all() or (sigma.diff() <= 0).all())
    require(monotone, what, "a monotone function of u", sigma)
    return sigma


def transforms_images(augmentation: Augmentation, given: Context = STAND_INS) -> None:
    """Images keep their shape, labels of zero mean an unchanged image, and the same seed gives the same result."""
    for shape in given.shapes:
        images = torch.rand(32, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        before = images.clone()
        out, labels = augmented(augmentation, images, torch.Generator().manual_seed(1))
        what = f"for images of {shape[0]} channels"
        require_finite(f"the images {what}", out)
        require(torch.equal(images, before), f"the given images {what}", "unchanged", "modified in place")
        plain = (labels == 0).flatten(1).all(1)
        require_close(f"images whose labels are all zero, {what}", out[plain], images[plain], rtol=0)
        again = augmentation(images, torch.Generator().manual_seed(1))
        require_same(f"the images with the same seed again, {what}", again[0], out, rtol=0)
        require_same(f"the labels with the same seed again, {what}", again[1], labels, rtol=0)


def averages_parameters(ema: EMA) -> None:
    """The weights of old averages are between 0 and 1, and those of the averages that are tracked sum to 1."""
    for step in (1, 2, 3, 20, 127, 128, 129, 1000):
        for tracked in ema.tracked():
            what = f"decay({64 * (step - 1)}, 64)"
            decay = tracked.decay(64 * (step - 1), 64)
            require(isinstance(decay, float) and 0 <= decay <= 1, what, "a float from 0 to 1", decay)
        before, kept = (set(ema.kept(n)) for n in (step - 1, step))
        require(kept <= before | {step}, f"kept({step})", f"steps of kept({step - 1}), or {step}", sorted(kept))
        steps = [*sorted(kept - {step}), step]
        weights = ema.weights(steps)
        shape = len(steps), len(ema.tracked())
        require(tuple(weights.shape) == shape, f"the shape of weights({steps})", shape, tuple(weights.shape))
        require_close(f"the sum of weights({steps})", weights.sum(), torch.ones_like(weights.sum()), rtol=1e-6)
