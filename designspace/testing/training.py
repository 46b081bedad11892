"""Checks of the rows of the block *Training*."""

from __future__ import annotations

import torch

from designspace.registry.calling import elementwise
from designspace.testing.assertions import require, require_close, require_finite, require_same
from designspace.testing.context import STAND_INS, Context
from designspace.training.batches import augmented
from designspace.training.rows import Augmentation, DiscreteNoiseDistribution, NoiseDistribution


def draws_noise_levels(distribution: NoiseDistribution) -> None:
    """Levels are positive, monotone in u, and reproducible."""
    u = torch.linspace(0.001, 0.999, 99, dtype=torch.float64)
    sigma = elementwise(distribution, "from_uniform(u)", distribution.from_uniform, u)
    require_finite("from_uniform(u)", sigma)
    require(bool((sigma > 0).all()), "from_uniform(u)", "positive numbers", sigma[~(sigma > 0)])
    monotone = bool((sigma.diff() >= 0).all() or (sigma.diff() <= 0).all())
    require(monotone, "from_uniform(u)", "a monotone function of u", sigma)
    first, second = (distribution.sample(7, torch.Generator().manual_seed(0)) for _ in range(2))
    require(first.shape == (7,), "the shape of sample(7)", [7], list(first.shape))
    require(first.dtype == torch.float64, "the dtype of sample(7)", torch.float64, first.dtype)
    require_close("sample(7) with the same seed again", second, first, rtol=0)


def has_the_density_of_its_quantiles(distribution: NoiseDistribution) -> None:
    """A density of its own is the one that follows from ``from_uniform``."""
    if type(distribution).density in (NoiseDistribution.density, DiscreteNoiseDistribution.density):
        return
    sigma = distribution.from_uniform(torch.linspace(0.05, 0.95, 19, dtype=torch.float64))
    found = elementwise(distribution, "density(sigma)", distribution.density, sigma)
    expected = NoiseDistribution.density(distribution, sigma)
    require_close("density(sigma)", found, expected, rtol=1e-4, at=sigma)


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
