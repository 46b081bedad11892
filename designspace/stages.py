"""The stages of a trial, each kept in the cache under a key of its own.

Levels that are measured, images, their features, those of the reference, diagnostics.

Data, denoiser and detector are loaded when something has to be computed with them, and kept while
consecutive trials share them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.cache import Cache, content_key
from designspace.converged import Converged, Probe
from designspace.denoiser import PreconditionedNetwork
from designspace.denoising import Denoising, denoising
from designspace.evaluation.floor import DRAWS, drawn, floor
from designspace.evaluation.measure import Measured, Sample, Summary
from designspace.generate import chunks, generate, labels_for
from designspace.images import DataError, Images, to_uint8
from designspace.kept import Kept
from designspace.keyed import latents
from designspace.plane import plane
from designspace.rows import (
    Conditional,
    Data,
    DenoiserMetric,
    Detector,
    Diagnostic,
    Metric,
    Observation,
    Reference,
)
from designspace.table1 import MeasuredTimeSteps

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
    _data: Kept[Images] = field(default_factory=Kept)
    _denoiser: Kept[Conditional] = field(default_factory=Kept)
    _detector: Kept[Callable[[Tensor], Tensor]] = field(default_factory=Kept)
    _reference: Kept[Sample] = field(default_factory=Kept)
    _keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    _reference_keys: dict[tuple[Data | Reference, Detector], str] = field(default_factory=dict)
    _solutions: Kept[dict[tuple[float, float, int], Converged]] = field(default_factory=Kept)

    def prepare(self, trial: Trial) -> None:
        """Fix the keys of a trial, before any trial is computed: what changes afterwards is not what ran."""
        self._trial_keys(trial)
        self.reference_key(trial)

    def placed(self, trial: Trial) -> Trial:
        """The trial with levels in place of time steps that have to be measured; others stay as they are."""
        rule = trial.design.time_steps
        if not isinstance(rule, MeasuredTimeSteps):
            return trial
        levels = rule.given(self.levels(trial)["sigmas"])
        return trial.model_copy(update={"design": trial.design.model_copy(update={"time_steps": levels})})

    def levels(self, trial: Trial) -> Tensors:
        """The ``sigmas`` that measured time steps were given, and the ``seconds`` that it took."""
        key = content_key("levels", self._trial_keys(trial)[0])
        return self.cache.get_or_make("levels", key, lambda: self._place(trial))

    def observe(self, trial: Trial, metric: Observation) -> Measured:
        """What a metric observes of the trial."""
        key = self._observation_key(trial, metric)
        return Measured.of(self.cache.get_or_make("observed", key, lambda: self._observe(trial, metric).tensors()))

    def has_observation(self, trial: Trial, metric: Observation) -> bool:
        """Whether what a metric observes of the trial is in the cache."""
        return self.cache.path("observed", self._observation_key(trial, metric)).is_file()

    def plane(self, trial: Trial) -> Tensors:
        """For data of one number: curves and densities in the plane of time and sample."""

        def make() -> Tensors:
            return plane(self._probe(self.placed(trial), 2, trial.seed), self.data(trial.data).scaled().flatten())

        key = content_key("plane", self._trial_keys(trial)[0], trial.data.content_hash())
        return self.cache.get_or_make("plane", key, make)

    def images(self, trial: Trial, chunk: range) -> Tensors:
        """The chunk's ``images``, uint8 ``[n, C, H, W]``, with ``nfe``, ``sigmas`` and ``seconds``."""
        return self.cache.get_or_make("images", self.images_key(trial, chunk), lambda: self._generate(trial, chunk))

    def features(self, trial: Trial, chunk: range) -> Tensors:
        """The chunk's ``features``, float32 ``[n, d]``, and what is known of its images, these excepted."""
        return self.cache.get_or_make("features", self.features_key(trial, chunk), lambda: self._see(trial, chunk))

    def has(self, stage: str, trial: Trial, chunk: range) -> bool:
        """Whether the chunk's ``images`` or ``features`` are in the cache."""
        key = self.features_key(trial, chunk) if stage == "features" else self.images_key(trial, chunk)
        return self.cache.path(stage, key).is_file()

    def reference(self, trial: Trial) -> Sample:
        """What is known of the features that the trial's are compared with: of its reference, else of its data.

        Of a whole data set one process computes them while others wait.
        """
        key, detector, given = self.reference_key(trial), trial.evaluate.detector, trial.evaluate.reference
        if given is not None:
            return self._reference.get(key, lambda: given.load(detector))
        return self._reference.get(key, lambda: self._reference_features(trial.data, detector, key))

    def floor(self, metric: Metric, trial: Trial) -> tuple[float, int] | None:
        """The metric of the reference against itself, and the size n' of the halves compared.

        ``None`` for those whose features are not known: they cannot be split.
        """
        reference, n = self.reference(trial), trial.evaluate.images
        if isinstance(reference, Summary):
            return None

        def make() -> Tensors:
            value, size = floor(metric, reference, n)
            return {"value": torch.tensor(value, dtype=torch.float64), "n": torch.tensor(size)}

        key = content_key(metric.identity(), self.reference_key(trial), n)
        kept = self.cache.get_or_make("floor", key, make)
        return kept["value"].item(), int(kept["n"])

    def drawn(self, metric: Metric, trial: Trial) -> tuple[float, float] | None:
        """The metric of as many images as the trial has, drawn from the reference; and its standard deviation."""
        reference, n = self.reference(trial), trial.evaluate.images
        if isinstance(reference, Summary):
            return None

        def make() -> Tensors:
            return {"drawn": _float64(drawn(metric, reference, n))}

        key = content_key("drawn", DRAWS, metric.identity(), self.reference_key(trial), n)
        mean, sd = self.cache.get_or_make("floor", key, make)["drawn"].tolist()
        return mean, sd

    def images_key(self, trial: Trial, chunk: range) -> str:
        """What the images of a chunk depend on; not on how many more there are, nor on how they are measured."""
        return content_key(FORMAT, self._trial_keys(trial)[0], chunk.start, chunk.stop)

    def features_key(self, trial: Trial, chunk: range) -> str:
        """What the features of a chunk depend on."""
        return content_key(self.images_key(trial, chunk), self._trial_keys(trial)[1])

    def reference_key(self, trial: Trial) -> str:
        """What the reference's features depend on."""
        of, detector = trial.evaluate.reference or trial.data, trial.evaluate.detector
        if (of, detector) not in self._reference_keys:
            self._reference_keys[of, detector] = content_key(of.content_hash(), detector.identity())
        return self._reference_keys[of, detector]

    def data(self, data: Data) -> Images:
        """The data set, loaded."""
        return self._data.get(data, data.load)

    def denoiser(self, trial: Trial) -> Conditional:
        """The trial's denoiser, ready to run. Raises ``DataError`` if its files are not those that the keys are of."""

        def load() -> Conditional:
            expected = self._trial_keys(trial)[0]
            loaded = trial.denoiser.load(self.data(trial.data), trial.design, self.device)
            if content_key(trial.sampling_identity()) != expected:
                raise DataError("files of the denoiser or of its data have changed since the run began: run again")
            return loaded

        return self._denoiser.get((trial.denoiser, *self._rows_of(trial), trial.data), load)

    def detect(self, detector: Detector, images: Tensor) -> Tensor:
        """The features of ``images``, float32 ``[n, d]``."""
        return self._detector.get(detector, lambda: detector.load(self.device))(images)

    def _trial_keys(self, trial: Trial) -> tuple[str, str]:
        """Kept, because components read files to say what they are, and these may change while they are used."""
        if trial.id not in self._keys:
            detector = trial.evaluate.detector.identity()
            self._keys[trial.id] = content_key(trial.sampling_identity()), content_key(detector)
        return self._keys[trial.id]

    def _observation_key(self, trial: Trial, metric: Observation) -> str:
        of_denoiser = isinstance(metric, DenoiserMetric)
        return content_key(metric.identity(), trial.denoising_identity() if of_denoiser else self._trial_keys(trial)[0])

    def _generate(self, trial: Trial, chunk: range) -> Tensors:
        denoiser, labels, placed = self.denoiser(trial), self._labels(trial, chunk), self.placed(trial)
        start = perf_counter()
        made = generate(placed, denoiser, labels, chunk, self.device, self.batch_size)
        found = {"images": to_uint8(made.x), "nfe": _float64(made.nfe), "sigmas": _float64(made.sigmas)}
        found |= {} if made.nfe_each is None else {"nfe_each": made.nfe_each}
        return found | {"seconds": _float64([perf_counter() - start])}

    def _labels(self, trial: Trial, images: range) -> Tensor | None:
        rule = trial.evaluate.labels
        return None if rule == "none" else labels_for(rule, trial.seed, images, self.data(trial.data))

    def _place(self, trial: Trial) -> Tensors:
        rule = trial.design.time_steps
        assert isinstance(rule, MeasuredTimeSteps)
        start = perf_counter()
        found = rule.place(self._probe(trial, rule.images, "time_steps"))
        return {"sigmas": found, "seconds": _float64(perf_counter() - start)}

    def _observe(self, trial: Trial, metric: Observation) -> Measured:
        if isinstance(metric, DenoiserMetric):
            return metric.observe(self._denoising(trial, metric.images))
        assert isinstance(metric, Diagnostic)
        return metric.observe(self._probe(self.placed(trial), metric.images, trial.seed))

    def _denoising(self, trial: Trial, images: int) -> Denoising:
        data, denoiser = self.data(trial.data), self.denoiser(trial)
        own = denoiser.design if isinstance(denoiser, PreconditionedNetwork) else trial.design
        untrained = trial.denoiser.untrained(data, trial.design, self.device)
        labelled = trial.evaluate.labels != "none"
        return denoising(data, own, (denoiser, untrained), images, self.device, labelled=labelled)

    def _probe(self, trial: Trial, images: int, seed: object) -> Probe:
        denoiser, labels = self.denoiser(trial), self._labels(trial, range(images))
        D = denoiser.bind(None if labels is None else labels.to(self.device))
        start = latents(seed, range(images), denoiser.shape).double().to(self.device)
        key = (trial.denoiser, trial.data, trial.evaluate.labels, images, seed, *self._rows_of(trial))
        return Probe(trial.design, D, start, trial.num_steps, self._solutions.get(key, dict))

    def _rows_of(self, trial: Trial) -> list[object]:
        return [getattr(trial.design, row) for row in trial.denoiser.rows]

    def _see(self, trial: Trial, chunk: range) -> Tensors:
        made = self.images(trial, chunk)
        start = perf_counter()
        features = self.detect(trial.evaluate.detector, made.pop("images"))
        seconds = torch.cat([made["seconds"], _float64([perf_counter() - start])])
        return made | {"features": features, "seconds": seconds}

    def _reference_features(self, data: Data, detector: Detector, key: str) -> Sample:
        def see(chunk: range) -> Tensors:
            return {"features": self.detect(detector, self.data(data).pixels[chunk.start : chunk.stop])}

        with self.cache.lock(f"reference-{key}"):
            size = self.cache.get_or_make("reference", key, lambda: {"n": torch.tensor(len(self.data(data)))})
            kept = [
                self.cache.get_or_make("features", content_key(key, chunk.start, chunk.stop), partial(see, chunk))
                for chunk in chunks(int(size["n"]))
            ]
        return Sample(torch.cat([chunk["features"] for chunk in kept]))


def _float64(value: object) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
