"""Data sets, denoisers, decoders and detectors, loaded on first use and kept while later trials share them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.load import load_images
from designspace.data.rows import Data
from designspace.denoising.rows import Conditional, Network
from designspace.errors import DataError
from designspace.evaluation.boundary import features_of
from designspace.evaluation.rows import Detector
from designspace.registry.calling import calling, described, unmet
from designspace.registry.component import Component
from designspace.registry.isolation import drawn, isolated
from designspace.registry.memory import Fitting
from designspace.run.labels import labels_for
from designspace.run.shapes import require_images
from designspace.sampling import rows
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


class Keys(NamedTuple):
    """The hashes of what the stages of a trial depend on."""

    sampling: str
    decoder: str
    detector: str


@dataclass(frozen=True)
class Loaded:
    """The data sets, denoisers, decoders and detectors of trials, on ``device``."""

    device: torch.device
    _data: Kept[Images] = field(default_factory=Kept)
    _denoiser: Kept[Conditional] = field(default_factory=Kept)
    _guide: Kept[Conditional] = field(default_factory=Kept)
    _decoder: Kept[Callable[[Tensor], Tensor]] = field(default_factory=Kept)
    _detector: Kept[Callable[[Tensor], Tensor]] = field(default_factory=Kept)
    _keys: dict[str, Keys] = field(default_factory=dict)

    def keys(self, trial: Trial) -> Keys:
        """The hashes of what each stage of the trial depends on.

        They are computed only once per trial, because they cover files that may change during the run.
        """
        if trial.id not in self._keys:
            parts = trial.sampling_identity(), trial.decoder.identity(), trial.evaluate.detector.identity()
            self._keys[trial.id] = Keys(*map(content_key, parts))
        return self._keys[trial.id]

    def data(self, data: Data) -> Images:
        """The images of a data set."""
        return self._data.get(data, lambda: load_images(data, self.device))

    def guided(self, trial: Trial) -> Conditional:
        """The trial's denoiser with its guidance; errors are attributed to the component in whose code they occur."""
        guidance, guide = trial.guidance, trial.guide_trial
        guides = [Attributed(self.denoiser(guide, self._guide), source_of(guide))] if guide else []
        # The guide comes first: if it is a snapshot of the training of the denoiser, that is continued.
        denoiser = Attributed(self.denoiser(trial), source_of(trial))
        if not guidance.effective:
            return denoiser
        with calling(guidance):
            made: object = guidance.wrap(denoiser, *guides)
        return Attributed(_require_conditional(guidance, "wrap()", made), guidance)

    def denoiser(self, trial: Trial, kept: Kept[Conditional] | None = None) -> Conditional:
        """The denoiser without guidance. Raises ``DataError`` if files have changed since ``keys`` was first called."""

        def load() -> Conditional:
            expected, data = self.keys(trial).sampling, self.data(trial.data)
            key = content_key(trial.denoiser.identity(), [component.identity() for component in rows_of(trial)])
            with isolated(self.device, "denoiser", key), calling(trial.denoiser):
                made: object = trial.denoiser.load(data, trial.design, self.device)
            loaded = _require_conditional(trial.denoiser, "load()", made)
            require_images(trial, loaded.shape, data)
            if content_key(trial.sampling_identity()) != expected:
                raise DataError("files of the denoiser or of its data have changed since the run began: run again")
            return loaded

        return (kept or self._denoiser).get((trial.denoiser, *rows_of(trial), trial.data), load)

    def decoder(self, trial: Trial) -> Callable[[Tensor], Tensor]:
        """The function of the trial's decoder. Raises ``DataError`` if files have changed since ``keys`` was called."""
        decoder = trial.decoder

        def load() -> Callable[[Tensor], Tensor]:
            key = self.keys(trial).decoder
            with isolated(self.device, "decoder", key), calling(decoder):
                loaded = decoder.load(self.device)
            if content_key(decoder.identity()) != key:
                raise DataError("files of the decoder have changed since the run began: run again")
            return Fitting(loaded)

        return self._decoder.get(decoder, load)

    def detector(self, detector: Detector) -> Callable[[Tensor], Tensor]:
        """The function of a detector."""

        def load() -> Callable[[Tensor], Tensor]:
            with isolated(self.device, "detector", content_key(detector.identity())), calling(detector):
                return Fitting(detector.load(self.device))

        return self._detector.get(detector, load)

    def detect(self, detector: Detector, images: Tensor) -> Tensor:
        """The features of ``images``, float32 ``[n, d]``."""
        return features_of(detector, self.detector(detector), images)

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


def _require_conditional(component: Component, what: str, loaded: Any) -> Conditional:
    shape = getattr(loaded, "shape", None)
    if not (isinstance(shape, tuple | list) and len(shape) == 3 and callable(getattr(loaded, "bind", None))):
        expected = "an object with bind(labels) and shape, the (C, H, W) of a sample"
        unmet(component, what, expected, f"{described(loaded)} with shape {shape}")
    return cast(Conditional, loaded)


@dataclass(frozen=True)
class Attributed:
    """A denoiser, to whose component the errors of D and its draws from global generators are attributed."""

    denoiser: Conditional
    component: Component

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.denoiser.shape

    def bind(self, labels: Tensor | None) -> rows.D:
        """``D(x, sigma)`` with the noise levels that it supports."""
        return _AttributedD(self.denoiser.bind(labels), self.component)


class _AttributedD:
    def __init__(self, D: rows.D, component: Component) -> None:
        self._D, self.component = D, component

    def __getattr__(self, name: str) -> Any:
        return getattr(self._D, name)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        with calling(self.component):
            return self._D(x, sigma)


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
    drawn().update(unseeded(kept))
    return kept


def unseeded(found: Tensors) -> set[str]:
    """The components that drew from global generators in the making of a cache file."""
    return set(json.loads(bytes(found[UNSEEDED].tolist()))) if UNSEEDED in found else set()
