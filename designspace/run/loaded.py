"""Data sets, denoisers, detectors and references, loaded on first use and kept while later trials share them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.load import load_images
from designspace.data.rows import Data
from designspace.denoising.rows import Conditional, Network
from designspace.errors import DataError
from designspace.evaluation.boundary import features_of, joined, known_of
from designspace.evaluation.evaluate import DRAWS, drawn, floor
from designspace.evaluation.measure import PartlyKnown, Sample, Summary
from designspace.evaluation.moments import Moments
from designspace.evaluation.rows import Detector, Metric, Reference
from designspace.registry.calling import calling, described, unmet
from designspace.registry.component import Component
from designspace.registry.isolation import drawn as drawn_by
from designspace.registry.isolation import isolated
from designspace.run.generate import chunks
from designspace.run.labels import labels_for
from designspace.storage.cache import Cache
from designspace.storage.files import content_key

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

T = TypeVar("T")


class Kept(Generic[T]):
    """A cache of a single value, for values that are slow to load and too large to keep several of."""

    def __init__(self) -> None:
        self._key: object = None
        self._value: T | None = None

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The value for ``key``; a value kept for another key is released before the new one is made."""
        if self._value is None or self._key != key:
            self._value = None
            self._key, self._value = key, make()
        return self._value


@dataclass(frozen=True)
class Loaded:
    """The data sets, denoisers and detectors of trials, on ``device``."""

    device: torch.device
    _data: Kept[Images] = field(default_factory=Kept)
    _denoiser: Kept[Conditional] = field(default_factory=Kept)
    _detector: Kept[Callable[[Tensor], Tensor]] = field(default_factory=Kept)
    _keys: dict[str, tuple[str, str]] = field(default_factory=dict)

    def keys(self, trial: Trial) -> tuple[str, str]:
        """The hash of everything that the trial's images depend on, and the hash of its detector.

        Both are computed only once per trial, because they cover files that may change during the run.
        """
        if trial.id not in self._keys:
            detector = trial.evaluate.detector.identity()
            self._keys[trial.id] = content_key(trial.sampling_identity()), content_key(detector)
        return self._keys[trial.id]

    def data(self, data: Data) -> Images:
        """The images of a data set."""
        return self._data.get(data, lambda: load_images(data, self.device))

    def denoiser(self, trial: Trial) -> Conditional:
        """The trial's denoiser. Raises ``DataError`` if files have changed since ``keys`` was first called."""

        def load() -> Conditional:
            expected, data = self.keys(trial)[0], self.data(trial.data)
            key = content_key(trial.denoiser.identity(), [component.identity() for component in rows_of(trial)])
            with isolated(self.device, "denoiser", key), calling(trial.denoiser):
                loaded = trial.denoiser.load(data, trial.design, self.device)
            _require_conditional(trial, loaded)
            if content_key(trial.sampling_identity()) != expected:
                raise DataError("files of the denoiser or of its data have changed since the run began: run again")
            return loaded

        return self._denoiser.get((trial.denoiser, *rows_of(trial), trial.data), load)

    def detect(self, detector: Detector, images: Tensor) -> Tensor:
        """The features of ``images``, float32 ``[n, d]``."""

        def load() -> Callable[[Tensor], Tensor]:
            with isolated(self.device, "detector", content_key(detector.identity())), calling(detector):
                return detector.load(self.device)

        return features_of(detector, self._detector.get(detector, load), images)

    def labels(self, trial: Trial, images: range) -> Tensor | None:
        """The labels of some of the trial's images, int64, on the CPU; ``None`` if the trial is unconditional."""
        rule = trial.evaluate.labels
        return None if rule == "none" else labels_for(rule, trial.seed, images, self.data(trial.data))


def rows_of(trial: Trial) -> list[Component]:
    """The components of the design on which the trial's denoiser depends."""
    return [getattr(trial.design, row) for row in trial.denoiser.rows]


def source_of(trial: Trial) -> Component:
    """The component whose code computes D: the network of a built-in denoiser that has one, or else the denoiser."""
    network = getattr(trial.denoiser, "network", None)
    return network if isinstance(network, Network) and trial.denoiser.built_in() else trial.denoiser


def _require_conditional(trial: Trial, loaded: object) -> None:
    shape = getattr(loaded, "shape", None)
    if not (isinstance(shape, tuple | list) and len(shape) == 3 and callable(getattr(loaded, "bind", None))):
        expected = "an object with bind(labels) and shape, the (C, H, W) of a sample"
        unmet(trial.denoiser, "load()", expected, f"{described(loaded)} with shape {shape}")


Tensors = dict[str, Tensor]
UNSEEDED = "unseeded"
"""The entry of a cache file with the names of components that drew from global generators, as JSON in uint8."""


def made(cache: Cache, device: torch.device, stage: str, key: str, make: Callable[[], Tensors]) -> Tensors:
    """The tensors of ``key`` from the cache, or by ``make``, isolated from everything else that the process computes.

    If components drew from global generators, there is the entry ``UNSEEDED``, and a block of ``isolated`` around the
    call receives their names, too.
    """

    def run() -> Tensors:
        with isolated(device, stage, key) as drew:
            found = make()
        names = sorted(drew)
        return found | ({UNSEEDED: torch.tensor(list(json.dumps(names).encode()), dtype=torch.uint8)} if names else {})

    kept = cache.get_or_make(stage, key, run)
    drawn_by().update(unseeded(kept))
    return kept


def unseeded(found: Tensors) -> set[str]:
    """The components that drew from global generators in the making of a cache file."""
    return set(json.loads(bytes(found[UNSEEDED].tolist()))) if UNSEEDED in found else set()


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
        return made(self.cache, self.loaded.device, "floor", key, lambda: make(reference))

    def _known(self, reference: Reference, detector: Detector, key: str) -> Sample:
        with isolated(self.loaded.device, "reference", key):
            return known_of(reference, detector)

    def _features(self, data: Data, detector: Detector, key: str) -> Sample:
        if known := data.known_features(detector.identity()):
            return PartlyKnown(known.features, Moments(known.n, known.mean, known.cov))

        def see(chunk: range) -> Tensors:
            return {"features": self.loaded.detect(detector, self.loaded.data(data).pixels[chunk.start : chunk.stop])}

        def part(chunk: range) -> Tensors:
            part_key = content_key(key, chunk.start, chunk.stop)
            return made(self.cache, self.loaded.device, "features", part_key, lambda: see(chunk))

        with self.cache.lock(f"reference-{key}"):
            n = self.cache.get_or_make("reference", key, lambda: {"n": torch.tensor(len(self.loaded.data(data)))})["n"]
            return joined(detector, [part(chunk)["features"] for chunk in chunks(int(n))], int(n))
