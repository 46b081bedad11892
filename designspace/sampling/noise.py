"""Random numbers keyed by their purpose: those of image k are the same in every batch, process and resumed run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def generator(*key: object) -> np.random.Generator:
    """A counter-based generator (Philox, Salmon et al. 2011) whose stream depends on ``key`` only."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def latents(seed: object, images: Iterable[int], shape: tuple[int, ...]) -> Tensor:
    """Unit Gaussian latents of the images, float32 ``[len(images), *shape]``."""
    return _normal((("latent", seed, k) for k in images), shape)


@dataclass(frozen=True)
class KeyedNoise:
    """``noise(step, draw)`` for a batch of images, which depends on seed, image, step and draw only."""

    seed: int
    images: Iterable[int]
    shape: tuple[int, ...]

    def __call__(self, step: int, draw: int) -> Tensor:
        """Unit Gaussian noise, float32 ``[len(images), *shape]``."""
        return _normal((("noise", self.seed, k, step, draw) for k in self.images), self.shape)


def _normal(keys: Iterable[tuple[object, ...]], shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.stack([generator(*key).standard_normal(shape, dtype=np.float32) for key in keys]))
