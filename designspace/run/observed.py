"""What is seen on a few images of a trial: the levels that measured time steps place, and metrics that observe."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.evaluation.denoiser_probe import DenoiserProbe, denoising
from designspace.evaluation.measure import Measured
from designspace.evaluation.rows import DenoiserMetric, Diagnostic, Observation
from designspace.run.kept import Kept
from designspace.run.loaded import Loaded, rows_of
from designspace.sampling.noise import latents
from designspace.sampling.plane import plane
from designspace.sampling.probe import Converged, GivenLevels, MeasuredTimeSteps, Probe
from designspace.storage.cache import Cache
from designspace.storage.files import content_key
from designspace.training.rows import training_rows

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Observed:
    """From the cache, or computed and kept there."""

    cache: Cache
    loaded: Loaded
    _solutions: Kept[dict[tuple[float, float, int], Converged]] = field(default_factory=Kept)

    def placed(self, trial: Trial) -> Trial:
        """The trial with levels in place of time steps that have to be measured; others stay as they are."""
        rule = trial.design.time_steps
        if not isinstance(rule, MeasuredTimeSteps):
            return trial
        levels = GivenLevels(levels=tuple(self.levels(trial)["sigmas"].tolist()))
        return trial.model_copy(update={"design": trial.design.with_time_steps(levels)})

    def levels(self, trial: Trial) -> Tensors:
        """The ``sigmas`` that measured time steps were given, and the ``seconds`` that it took."""
        key = content_key("levels", self.loaded.keys(trial)[0])
        return self.cache.get_or_make("levels", key, lambda: self._place(trial))

    def of(self, trial: Trial, metric: Observation) -> Measured:
        """What a metric observes of the trial."""
        key = self._key(trial, metric)
        return Measured.of(self.cache.get_or_make("observed", key, lambda: self._observe(trial, metric).tensors()))

    def has(self, trial: Trial, metric: Observation) -> bool:
        """Whether that is in the cache."""
        return self.cache.path("observed", self._key(trial, metric)).is_file()

    def plane(self, trial: Trial) -> Tensors:
        """For data of one number: curves and densities in the plane of time and sample."""

        def make() -> Tensors:
            values = self.loaded.data(trial.data).scaled().flatten()
            return plane(self._probe(self.placed(trial), 2, trial.seed), values)

        key = content_key("plane", self.loaded.keys(trial)[0], trial.data.content_hash())
        return self.cache.get_or_make("plane", key, make)

    def _key(self, trial: Trial, metric: Observation) -> str:
        of_denoiser = isinstance(metric, DenoiserMetric)
        return content_key(metric.identity(), trial.denoising_identity() if of_denoiser else self.loaded.keys(trial)[0])

    def _place(self, trial: Trial) -> Tensors:
        rule = trial.design.time_steps
        assert isinstance(rule, MeasuredTimeSteps)
        start = perf_counter()
        found = rule.place(self._probe(trial, rule.images, "time_steps"))
        return {"sigmas": found, "seconds": torch.tensor(perf_counter() - start, dtype=torch.float64)}

    def _observe(self, trial: Trial, metric: Observation) -> Measured:
        if isinstance(metric, DenoiserMetric):
            return metric.observe(self._denoising(trial, metric.images))
        assert isinstance(metric, Diagnostic)
        return metric.observe(self._probe(self.placed(trial), metric.images, trial.seed))

    def _denoising(self, trial: Trial, images: int) -> DenoiserProbe:
        data, denoiser, device = self.loaded.data(trial.data), self.loaded.denoiser(trial), self.loaded.device
        own = trial.design if not isinstance(denoiser, PreconditionedNetwork) else training_rows(denoiser.design)
        untrained = trial.denoiser.untrained(data, trial.design, device)
        labelled = trial.evaluate.labels != "none"
        return denoising(data, own, (denoiser, untrained), images, device, labelled=labelled)

    def _probe(self, trial: Trial, images: int, seed: object) -> Probe:
        denoiser, labels = self.loaded.denoiser(trial), self.loaded.labels(trial, range(images))
        D = denoiser.bind(None if labels is None else labels.to(self.loaded.device))
        start = latents(seed, range(images), denoiser.shape).double().to(self.loaded.device)
        key = (trial.denoiser, trial.data, trial.evaluate.labels, images, seed, *rows_of(trial))
        return Probe(trial.design, D, start, trial.num_steps, self._solutions.get(key, dict))
