"""The references with which the features of trials are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from designspace.data.rows import Data
from designspace.evaluation.boundary import joined, known_of
from designspace.evaluation.evaluate import drawn, floor
from designspace.evaluation.measure import PartlyKnown, Sample, Store, Summary
from designspace.evaluation.moments import Moments
from designspace.evaluation.rows import Detector, Metric, Reference
from designspace.registry.isolation import isolated
from designspace.results.records import DRAWS
from designspace.run.generate import chunks
from designspace.run.loaded import Kept, Loaded, Tensors, made
from designspace.storage.cache import Cache
from designspace.storage.files import content_key

if TYPE_CHECKING:
    from designspace.spec.trial import Trial


@dataclass(frozen=True)
class References:
    """The references of trials, read from the cache, or computed and then cached."""

    cache: Cache
    loaded: Loaded
    _samples: Kept[Sample] = field(default_factory=Kept)
    _keys: dict[tuple[Data | Reference, Detector], str] = field(default_factory=dict)

    def of(self, trial: Trial) -> Sample:
        """The features (or only their moments) of the trial's reference, which is its data set by default.

        While one process computes the features of a data set, other processes wait for it.
        """
        key, detector, given = self.key(trial), trial.evaluate.detector, trial.evaluate.reference
        if given is not None:
            return self._samples.get(key, lambda: self._known(given, detector, key))
        return self._samples.get(key, lambda: self._features(trial.data, detector, key))

    def key(self, trial: Trial) -> str:
        """The hash of everything that ``of`` depends on."""
        of, detector = trial.evaluate.reference or trial.data, trial.evaluate.detector
        if (of, detector) not in self._keys:
            content = of.content_hash() if of.built_in() else of.identity()
            self._keys[of, detector] = content_key(content, detector.identity())
        return self._keys[of, detector]

    def missing(self, trial: Trial) -> int:
        """The number of images of the trial's data set whose features are not in the cache."""
        key = self.key(trial)
        parts = chunks(len(self.loaded.data(trial.data)))
        known = (self.cache.path("features", content_key(key, part.start, part.stop)).is_file() for part in parts)
        return sum(len(part) for part, is_known in zip(parts, known, strict=True) if not is_known)

    def floor(self, metric: Metric, trial: Trial) -> tuple[float, int] | None:
        """The metric between two halves of the reference, and the size n' of each half.

        ``None`` if only the moments of the reference are known, because moments cannot be split.
        """

        def make(reference: Sample) -> Tensors:
            value, size = floor(metric, reference, trial.evaluate.images)
            return {"value": torch.tensor(value, dtype=torch.float64), "n": torch.tensor(size)}

        kept = self._measured(trial, make, metric.identity())
        return None if kept is None else (kept["value"].item(), int(kept["n"]))

    def drawn(self, metric: Metric, trial: Trial) -> tuple[float, float] | None:
        """Mean and standard deviation of the metric for images drawn from the reference, as many as the trial has."""

        def make(reference: Sample) -> Tensors:
            return {"drawn": torch.tensor(drawn(metric, reference, trial.evaluate.images), dtype=torch.float64)}

        kept = self._measured(trial, make, "drawn", DRAWS, metric.identity())
        return None if kept is None else (kept["drawn"][0].item(), kept["drawn"][1].item())

    def _measured(self, trial: Trial, make: Callable[[Sample], Tensors], *what: object) -> Tensors | None:
        reference = self.of(trial)
        if isinstance(reference, Summary):
            return None
        key = content_key(*what, self.key(trial), trial.evaluate.images)
        with self.cache.lock(f"floor-{key}"):
            return made(self.cache, self.loaded.device, "floor", key, lambda: make(reference))

    def _store(self, key: str) -> Store:
        """Keeps what metrics compute from the reference alone in the cache; other processes wait for it."""

        def store(name: str, make: Callable[[], Tensors]) -> Tensors:
            of = content_key(key, name)
            with self.cache.lock(f"pairs-{of}"):
                return made(self.cache, self.loaded.device, "pairs", of, make)

        return store

    def _known(self, reference: Reference, detector: Detector, key: str) -> Sample:
        with isolated(self.loaded.device, "reference", key):
            known = known_of(reference, detector)
        return known if isinstance(known, Summary | PartlyKnown) else replace(known, store=self._store(key))

    def _features(self, data: Data, detector: Detector, key: str) -> Sample:
        if known := data.known_features(detector.identity()):
            return PartlyKnown(known.features, Moments(known.n, known.mean, known.cov), self._store(key))

        def see(chunk: range) -> Tensors:
            return {"features": self.loaded.detect(detector, self.loaded.data(data).pixels[chunk.start : chunk.stop])}

        def part(chunk: range) -> Tensors:
            part_key = content_key(key, chunk.start, chunk.stop)
            return made(self.cache, self.loaded.device, "features", part_key, lambda: see(chunk))

        with self.cache.lock(f"reference-{key}"):
            n = self.cache.get_or_make("reference", key, lambda: {"n": torch.tensor(len(self.loaded.data(data)))})["n"]
            return joined(detector, [part(chunk)["features"] for chunk in chunks(int(n))], int(n), self._store(key))
