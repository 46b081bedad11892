"""The stages of a trial, each kept in the cache under a key of its own: images and their features.

What they are compared with is in ``reference``, what is seen on a few images in ``observed``, what is computed with in
``loaded``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.data.images import to_uint8
from designspace.run.generate import generate
from designspace.run.loaded import Loaded
from designspace.run.observed import Observed
from designspace.run.reference import References
from designspace.storage.cache import Cache
from designspace.storage.files import content_key

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

Tensors = dict[str, Tensor]
FORMAT = 2
"""Of a chunk of images: raised when the file gets other tensors."""


@dataclass(frozen=True)
class Stages:
    """What a trial needs, from the cache or computed on ``device`` and kept in the cache."""

    cache: Cache
    device: torch.device
    batch_size: int = 200

    @cached_property
    def loaded(self) -> Loaded:
        """Data, denoisers and detectors."""
        return Loaded(self.device)

    @cached_property
    def references(self) -> References:
        """What trials are compared with."""
        return References(self.cache, self.loaded)

    @cached_property
    def observed(self) -> Observed:
        """What is seen on a few images."""
        return Observed(self.cache, self.loaded)

    def prepare(self, trial: Trial) -> None:
        """Fix the keys of a trial, before any trial is computed: what changes afterwards is not what ran."""
        self.loaded.keys(trial)
        self.references.key(trial)

    def images(self, trial: Trial, chunk: range) -> Tensors:
        """The chunk's ``images``, uint8 ``[n, C, H, W]``, with ``nfe``, ``sigmas`` and ``seconds``."""
        return self.cache.get_or_make("images", self._images_key(trial, chunk), lambda: self._generate(trial, chunk))

    def features(self, trial: Trial, chunk: range) -> Tensors:
        """The chunk's ``features``, float32 ``[n, d]``, and what is known of its images, these excepted."""
        return self.cache.get_or_make("features", self._features_key(trial, chunk), lambda: self._see(trial, chunk))

    def has(self, stage: str, trial: Trial, chunk: range) -> bool:
        """Whether the chunk's ``images`` or ``features`` are in the cache."""
        key = self._features_key(trial, chunk) if stage == "features" else self._images_key(trial, chunk)
        return self.cache.path(stage, key).is_file()

    def _images_key(self, trial: Trial, chunk: range) -> str:
        """What the images of a chunk depend on; not on how many more there are, nor on how they are measured."""
        return content_key(FORMAT, self.loaded.keys(trial)[0], chunk.start, chunk.stop)

    def _features_key(self, trial: Trial, chunk: range) -> str:
        return content_key(self._images_key(trial, chunk), self.loaded.keys(trial)[1])

    def _generate(self, trial: Trial, chunk: range) -> Tensors:
        denoiser, labels = self.loaded.denoiser(trial), self.loaded.labels(trial, chunk)
        placed = self.observed.placed(trial)
        start = perf_counter()
        made = generate(placed, denoiser, labels, chunk, self.device, self.batch_size)
        found = {"images": to_uint8(made.x), "nfe": _float64(made.nfe), "sigmas": _float64(made.sigmas)}
        found |= {} if made.nfe_each is None else {"nfe_each": made.nfe_each}
        return found | {"seconds": _float64([perf_counter() - start])}

    def _see(self, trial: Trial, chunk: range) -> Tensors:
        made = self.images(trial, chunk)
        start = perf_counter()
        features = self.loaded.detect(trial.evaluate.detector, made.pop("images"))
        seconds = torch.cat([made["seconds"], _float64([perf_counter() - start])])
        return made | {"features": features, "seconds": seconds}


def _float64(value: object) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
