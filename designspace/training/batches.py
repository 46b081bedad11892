"""Training batches, which depend only on (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.limits import fits_in_memory
from designspace.denoising.device import sent
from designspace.denoising.preconditioned import Coefficients
from designspace.registry.calling import (
    calling,
    described,
    elementwise,
    require_like,
    require_tensor,
    unmet,
)
from designspace.registry.component import Component
from designspace.registry.isolation import isolated
from designspace.sampling.noise import generator
from designspace.training.ranks import ALONE, Ranks
from designspace.training.rows import HIGHEST_U, LOWEST_U, AdaptedLevels, Augmentation, TrainingRows, training_weights


class Levels(NamedTuple):
    """Noise levels and what depends on nothing else, float64 ``[B]`` each."""

    sigma: Tensor
    weight: Tensor
    """Loss weights."""
    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor

    @property
    def coefficients(self) -> Coefficients:
        """The coefficients of Eq. 7."""
        return Coefficients(*self[2:])

    def part(self, part: slice) -> Levels:
        """Those of some images."""
        return Levels(*(column[part] for column in self))


@dataclass(frozen=True)
class Batch:
    """The images of a training step with their noise, on the device; of several processes, each has a share of them."""

    y: Tensor
    """Images, float32 ``[B, C, H, W]`` in [-1, 1], augmented if there is an augmentation."""
    sigma: Tensor
    """Noise levels, float64 ``[B]``, on the CPU."""
    all_sigma: Tensor
    """Those of the shares of all processes."""
    levels: Levels
    """The noise levels and their coefficients."""
    noise: Tensor
    """Unit Gaussian noise, in the shape and dtype of ``y``."""
    labels: Tensor | None
    """Class labels, int64 ``[B]``; -1 means "no class"."""
    augment: Tensor | None
    """Augmentation labels ``[B, L]``; zero for images that were not transformed."""
    seed: int
    """The seed for everything else that is drawn in the step, such as dropout."""


@dataclass(frozen=True)
class Drawn:
    """What a batch consists of as far as it is known before the step: tensors on the CPU, pinned for a GPU."""

    step: int
    chosen: Tensor
    """The places of the images in the data set, int64 ``[B]``."""
    pixels: Tensor | None
    """Their pixels, uint8 ``[B, C, H, W]``, unless the device has those of all images."""
    u: Tensor
    """Random numbers in (0, 1), float64 ``[B]``, whose quantiles are the noise levels."""
    levels: Tensor | None
    """The ``Levels``, float64 ``[6, B]``, unless they have to be computed in the step itself."""
    left_out: Tensor | None
    """Whether the label of each image is left out, bool ``[B]``."""
    seeds: tuple[int, int]
    """The seeds of augmentation and noise, and of everything else that is drawn in the step."""


@dataclass(frozen=True)
class Batches:
    """The data set, reshuffled in each epoch. Call it with the number of a step to get the batch on the device.

    A batch is made in two parts, so that the first, ``drawn``, can be prepared in another thread. Pixels that are
    mapped from the cache, because they are large, stay there; all others are moved to the device.
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
    ranks: Ranks = ALONE
    """The processes that share each batch."""

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
        ranks: Ranks = ALONE,
    ) -> Batches:
        """Batches of ``data``, whose labels are -1, "no class", with the probability ``label_dropout``.

        With ``stratified``, one noise level of a batch is drawn from each of ``size`` equally probable ranges.
        """
        labels = data.labels.to(device) if labelled and data.labels is not None else None
        pixels = data.pixels.to(device) if fits_in_memory(data.pixels.nbytes) else data.pixels
        return cls(pixels, labels, design, augmentation, seed, size, device, label_dropout, stratified, ranks)

    def __call__(self, step: int, adapted: AdaptedLevels | None = None) -> Batch:
        """The batch of a step. ``adapted`` draws its noise levels if the noise distribution changes in training."""
        return self.made(self.drawn(step), adapted)

    def drawn(self, step: int) -> Drawn:
        """The part of a batch that depends on (seed, step) only and needs no device.

        It calls components only if all are built in: those of users may draw from global generators.
        """
        random = generator("train", self.seed, step)
        u = torch.from_numpy(random.random(self.size)).clamp_min(LOWEST_U)
        if self.stratified:
            u = ((torch.arange(self.size, dtype=torch.float64) + u) / self.size).clamp_max(HIGHEST_U)
        left_out = None
        if self.labels is not None and self.label_dropout:  # a key of its own keeps all other random numbers the same
            share = generator("label_dropout", self.seed, step).random(self.size)
            left_out = torch.from_numpy(share < self.label_dropout)
        chosen, others = self._chosen(step), () if self.ranks.first else (self.ranks.rank,)
        return Drawn(
            step,
            self._pinned(chosen),
            self._pinned(self.pixels[chosen]) if self.pixels.device.type == "cpu" else None,
            u,
            self._pinned(self._levels(self._sigma(u, None))) if self._known_before else None,
            None if left_out is None else self._pinned(left_out),
            (int(random.integers(2**62)), int(generator("network", self.seed, step, *others).integers(2**62))),
        )

    def made(self, drawn: Drawn, adapted: AdaptedLevels | None = None) -> Batch:
        """The batch of what was ``drawn``, on the device."""
        known = self._levels(self._sigma(drawn.u, adapted)) if drawn.levels is None else drawn.levels
        chosen, draw = sent(drawn.chosen, self.device), torch.Generator(self.device).manual_seed(drawn.seeds[0])
        pixels = self.pixels[chosen] if drawn.pixels is None else sent(drawn.pixels, self.device)
        y, augment = pixels.float() / 127.5 - 1, None
        if self.augmentation is not None:
            y, augment = self._augmented(y, draw, drawn.step)
        noise = torch.empty_like(y).normal_(generator=draw)
        labels = None if self.labels is None else self.labels[chosen]
        if labels is not None and drawn.left_out is not None:
            labels = labels.masked_fill(sent(drawn.left_out, self.device), -1)
        levels, own = Levels(*sent(known, self.device).unbind()), self.ranks.share(self.size)
        labels, augment = (None if column is None else column[own] for column in (labels, augment))
        return Batch(y[own], known[0][own], known[0], levels.part(own), noise[own], labels, augment, drawn.seeds[1])

    @cached_property
    def _known_before(self) -> bool:
        """Whether noise levels depend on (seed, step) only."""
        design = self.design
        rows = design.noise_distribution, design.c_noise, design.loss_weight, design.c_skip, design.c_out, design.c_in
        return design.noise_distribution.adapted(torch.device("cpu")) is None and all(map(_built_in, rows))

    def _sigma(self, u: Tensor, adapted: AdaptedLevels | None) -> Tensor:
        distribution = self.design.noise_distribution
        sigma = elementwise(distribution, "from_uniform(u)", (adapted or distribution).from_uniform, u)
        return self.design.c_noise.supported(sigma)

    def _levels(self, sigma: Tensor) -> Tensor:
        """The ``Levels`` at ``sigma``, float64 ``[6, B]``."""
        columns = sigma, training_weights(self.design, sigma), *Coefficients.of(self.design, sigma)
        return torch.stack([column.to(sigma).expand_as(sigma) for column in columns])

    def _pinned(self, values: Tensor) -> Tensor:
        return values.pin_memory() if self.device.type == "cuda" else values

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


def _built_in(component: Component) -> bool:
    """Whether the component and all that it contains belong to this package."""
    return component.built_in() and all(_built_in(part) for _, part in component if isinstance(part, Component))


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
