"""Data sets, denoisers and detectors, loaded when a trial needs them and kept while the next trials share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.denoising.rows import Conditional
from designspace.errors import DataError
from designspace.evaluation.rows import Detector
from designspace.run.labels import labels_for
from designspace.storage.files import content_key

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

T = TypeVar("T")


class Kept(Generic[T]):
    """The last value that was made, for values that are expensive to load and large to keep."""

    def __init__(self) -> None:
        self._key: object = None
        self._value: T | None = None

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The value for ``key``; the old one is released before a new one is made."""
        if self._value is None or self._key != key:
            self._value = None
            self._key, self._value = key, make()
        return self._value


@dataclass(frozen=True)
class Loaded:
    """What trials are computed with, on ``device``."""

    device: torch.device
    _data: Kept[Images] = field(default_factory=Kept)
    _denoiser: Kept[Conditional] = field(default_factory=Kept)
    _detector: Kept[Callable[[Tensor], Tensor]] = field(default_factory=Kept)
    _keys: dict[str, tuple[str, str]] = field(default_factory=dict)

    def keys(self, trial: Trial) -> tuple[str, str]:
        """The hash of everything that its images depend on, and the hash of its detector.

        They are computed once, because they cover files that may change during the run.
        """
        if trial.id not in self._keys:
            detector = trial.evaluate.detector.identity()
            self._keys[trial.id] = content_key(trial.sampling_identity()), content_key(detector)
        return self._keys[trial.id]

    def data(self, data: Data) -> Images:
        """The images of a data set."""
        return self._data.get(data, data.load)

    def denoiser(self, trial: Trial) -> Conditional:
        """The trial's denoiser. Raises ``DataError`` if files have changed since ``keys`` was first called."""

        def load() -> Conditional:
            expected = self.keys(trial)[0]
            loaded = trial.denoiser.load(self.data(trial.data), trial.design, self.device)
            if content_key(trial.sampling_identity()) != expected:
                raise DataError("files of the denoiser or of its data have changed since the run began: run again")
            return loaded

        return self._denoiser.get((trial.denoiser, *rows_of(trial), trial.data), load)

    def detect(self, detector: Detector, images: Tensor) -> Tensor:
        """The features of ``images``, float32 ``[n, d]``."""
        return self._detector.get(detector, lambda: detector.load(self.device))(images)

    def labels(self, trial: Trial, images: range) -> Tensor | None:
        """The labels of some of the trial's images, int64, on the CPU; ``None`` if it uses none."""
        rule = trial.evaluate.labels
        return None if rule == "none" else labels_for(rule, trial.seed, images, self.data(trial.data))


def rows_of(trial: Trial) -> list[object]:
    """The components of the design that its denoiser depends on."""
    return [getattr(trial.design, row) for row in trial.denoiser.rows]
