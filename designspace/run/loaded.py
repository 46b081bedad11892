"""What trials are computed with, loaded when needed and kept while consecutive trials share it; and their keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.denoising.rows import Conditional
from designspace.errors import DataError
from designspace.evaluation.rows import Detector
from designspace.run.generate import labels_for
from designspace.run.kept import Kept
from designspace.storage.files import content_key

if TYPE_CHECKING:
    from designspace.spec.trial import Trial


@dataclass(frozen=True)
class Loaded:
    """Data sets, denoisers and detectors on ``device``."""

    device: torch.device
    _data: Kept[Images] = field(default_factory=Kept)
    _denoiser: Kept[Conditional] = field(default_factory=Kept)
    _detector: Kept[Callable[[Tensor], Tensor]] = field(default_factory=Kept)
    _keys: dict[str, tuple[str, str]] = field(default_factory=dict)

    def keys(self, trial: Trial) -> tuple[str, str]:
        """What its images depend on, and what its detector depends on.

        Kept, because components read files to say what they are, and these may change while they are used.
        """
        if trial.id not in self._keys:
            detector = trial.evaluate.detector.identity()
            self._keys[trial.id] = content_key(trial.sampling_identity()), content_key(detector)
        return self._keys[trial.id]

    def data(self, data: Data) -> Images:
        """The data set."""
        return self._data.get(data, data.load)

    def denoiser(self, trial: Trial) -> Conditional:
        """The trial's denoiser, ready to run. Raises ``DataError`` if its files are not those that the keys are of."""

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
        """The labels of some of the trial's images, int64, on the CPU; ``None`` if it has none."""
        rule = trial.evaluate.labels
        return None if rule == "none" else labels_for(rule, trial.seed, images, self.data(trial.data))


def rows_of(trial: Trial) -> list[object]:
    """The components of the design that its denoiser depends on."""
    return [getattr(trial.design, row) for row in trial.denoiser.rows]
