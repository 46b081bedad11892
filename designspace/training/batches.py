"""Training batches, which depend only on (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.limits import fits_in_memory
from designspace.denoising.device import sent
from designspace.registry.calling import (
    calling,
    described,
    elementwise,
    require_like,
    require_tensor,
    unmet,
)
from designspace.registry.isolation import isolated
from designspace.sampling.noise import generator
from designspace.training.rows import HIGHEST_U, LOWEST_U, AdaptedLevels, Augmentation, TrainingRows


@dataclass(frozen=True)
class Batch:
    """The images of a training step with their noise."""

    y: Tensor
    """Images, float32 ``[B, C, H, W]`` in [-1, 1], augmented if there is an augmentation."""
    sigma: Tensor
    """Noise levels, float64 ``[B]``, on the CPU."""
    noise: Tensor
    """Unit Gaussian noise, in the shape and dtype of ``y``."""
    labels: Tensor | None
    """Class labels, int64 ``[B]``; -1 means "no class"."""
    augment: Tensor | None
    """Augmentation labels ``[B, L]``; zero for images that were not transformed."""


@dataclass(frozen=True)
class Batches:
    """The data set, reshuffled in each epoch. Call it with the number of a step to get the batch on the device.

    Pixels that are mapped from the cache, because they are large, stay there; all others are moved to the device.
    """

    pixels: Tensor
    labels: Tensor | None
    design: TrainingRows
    augmentation: Augmentation | None
    seed: int
    size: int
    device: torch.device
    label_dropout: float = 0.0
    stratified: bool = False

    @classmethod
    def of(
        cls,
        data: Images,
        design: TrainingRows,
        augmentation: Augmentation | None,
        seed: int,
        size: int,
        *,
        labelled: bool,
        device: torch.device,
        label_dropout: float = 0.0,
        stratified: bool = False,
    ) -> Batches:
        """Batches of ``data``, whose labels are -1, "no class", with the probability ``label_dropout``.

        With ``stratified``, one noise level of a batch is drawn from each of ``size`` equally probable ranges.
        """
        labels = data.labels.to(device) if labelled and data.labels is not None else None
        pixels = data.pixels.to(device) if fits_in_memory(data.pixels.nbytes) else data.pixels
        return cls(pixels, labels, design, augmentation, seed, size, device, label_dropout, stratified)

    def __call__(self, step: int, levels: AdaptedLevels | None = None) -> Batch:
        """The batch of a step. ``levels`` draws its noise levels if the noise distribution changes in training."""
        chosen = self._chosen(step)
        sent_chosen = sent(chosen, self.device)
        random = generator("train", self.seed, step)
        u = torch.from_numpy(random.random(self.size)).clamp_min(LOWEST_U)
        if self.stratified:
            u = ((torch.arange(self.size, dtype=torch.float64) + u) / self.size).clamp_max(HIGHEST_U)
        distribution = self.design.noise_distribution
        sigma = elementwise(distribution, "from_uniform(u)", (levels or distribution).from_uniform, u)
        sigma = self.design.c_noise.supported(sigma)
        draw = torch.Generator(self.device).manual_seed(int(random.integers(2**62)))
        pixels = sent(self.pixels[chosen if self.pixels.device.type == "cpu" else sent_chosen], self.device)
        y, augment = pixels.float() / 127.5 - 1, None
        if self.augmentation is not None:
            y, augment = self._augmented(y, draw, step)
        noise = torch.empty_like(y).normal_(generator=draw)
        labels = None if self.labels is None else self._some_left_out(self.labels[sent_chosen], step)
        return Batch(y, sigma, noise, labels, augment)

    def _some_left_out(self, labels: Tensor, step: int) -> Tensor:
        """``labels``, some of which are replaced by -1; a key of its own keeps all other random numbers the same."""
        if not self.label_dropout:
            return labels
        left_out = generator("label_dropout", self.seed, step).random(self.size) < self.label_dropout
        return labels.masked_fill(sent(torch.from_numpy(left_out), self.device), -1)

    def seed_of(self, step: int) -> int:
        """The seed for everything else that is drawn in a step, such as dropout."""
        return int(generator("network", self.seed, step).integers(2**62))

    def _augmented(self, y: Tensor, draw: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        """The transformed images; what a user's augmentation draws from global generators depends on the step only."""
        assert self.augmentation is not None
        if self.augmentation.built_in():
            return augmented(self.augmentation, y, draw)
        with isolated(y.device, "augmentation", self.seed, step):
            return augmented(self.augmentation, y, draw)

    def _chosen(self, step: int) -> Tensor:
        n, start, parts = len(self.pixels), step * self.size, []
        end = start + self.size
        while start < end:  # a batch may reach into the next epoch
            epoch, place = divmod(start, n)
            parts.append(_order(n, self.seed, epoch)[place : place + end - start])
            start += len(parts[-1])
        return torch.from_numpy(np.concatenate(parts))


def augmented(augmentation: Augmentation, y: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Call ``augmentation``. Raises ``RowError`` unless it returns images like ``y`` and labels ``[B, size]``."""
    with calling(augmentation):
        found: object = augmentation(y, draw)
    if not isinstance(found, tuple) or len(found) != 2:
        unmet(augmentation, "its result", "the pair (images, labels)", described(found))
    labels = require_tensor(augmentation, "the labels", found[1], (len(y), augmentation.size))
    return require_like(augmentation, "the images", found[0], y), labels


@lru_cache(4)
def _order(n: int, seed: int, epoch: int) -> np.ndarray:
    return generator("order", seed, epoch).permutation(n)
