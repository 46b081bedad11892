"""The stages of a trial. The output of each stage is cached under a hash of everything that the stage depends on.

Measured time steps come first, then chunks of images, then their features. If there is a decoder, chunks of latents
come before the images, so that trials with other decoders share them. Observations and the plane of a one-dimensional
flow are computed on a few samples of their own. Those of the reference are in ``references``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from designspace.data.images import to_uint8
from designspace.denoising.decoding import decoded
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Conditional
from designspace.evaluation.boundary import checked
from designspace.evaluation.denoiser_probe import DenoiserProbe, denoising
from designspace.evaluation.rows import DenoiserMetric, Diagnostic, Observation
from designspace.registry.calling import calling, name_of
from designspace.registry.isolation import drawing
from designspace.run.generate import CHUNK, FURTHER, batch_of, generate, require_finite
from designspace.run.loaded import Kept, Loaded, made, source_of
from designspace.run.references import References
from designspace.sampling.noise import latents
from designspace.sampling.plane import CURVES, plane
from designspace.sampling.probe import GivenLevels, MeasuredTimeSteps, Probe, Solutions, placed
from designspace.storage.cache import Cache
from designspace.storage.files import content_key
from designspace.training.rows import training_rows

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

Tensors = dict[str, Tensor]
Stage = Literal["latents", "images", "features"]
FORMAT = 2
"""The version of the cache files that hold latents or images; raised when their tensors change."""


@dataclass(frozen=True)
class Stages:
    """The outputs of all stages, read from the cache, or computed on ``device`` and then cached."""

    cache: Cache
    device: torch.device
    batch_size: int | None = None
    """Images per call of the denoiser and of the decoder; by default ``batch_of`` decides for the denoiser."""
    _solutions: Kept[Solutions] = field(default_factory=Kept)

    @cached_property
    def loaded(self) -> Loaded:
        """Data sets, denoisers and detectors."""
        return Loaded(self.device)

    @cached_property
    def references(self) -> References:
        """The references with which the features of trials are compared."""
        return References(self.cache, self.loaded)

    def prepare(self, trial: Trial) -> None:
        """Compute the cache keys of a trial before any trial runs, so that later changes to files do not enter them."""
        for part in filter(None, (trial, trial.guide_trial, trial.measuring)):
            self.loaded.keys(part)
        self.references.key(trial)

    def levels(self, trial: Trial) -> Tensors:
        """The noise levels ``sigmas`` of time steps that are placed by measurement.

        With them are the ``seconds`` that this took, without those of a converged solution that an earlier trial of
        this process had computed, and the evaluations per image, ``nfe``, with those of this solution.
        """
        seen = trial.measuring

        def place() -> Tensors:
            rule = seen.design.time_steps
            assert isinstance(rule, MeasuredTimeSteps)
            start = perf_counter()
            found, nfe = placed(rule, self._probe(seen, rule.images, "time_steps"))
            return {"sigmas": found, "seconds": _float64(perf_counter() - start), "nfe": _float64(nfe)}

        return self._made("levels", self._levels_key(seen), place)

    def has_levels(self, trial: Trial) -> bool:
        """Whether the cache has the noise levels of measured time steps."""
        return self.cache.path("levels", self._levels_key(trial.measuring)).is_file()

    def _levels_key(self, measuring: Trial) -> str:
        return content_key("levels", self.loaded.keys(measuring).sampling)

    def images(self, trial: Trial, chunk: range) -> Tensors:
        """The chunk's ``images``, uint8 ``[n, C, H, W]``, and everything of ``latents`` except the latents themselves.

        If there is a decoder, ``seconds`` has its time after that of sampling. Raises ``NotFiniteError``.
        """

        def make() -> Tensors:
            if not trial.decoder.decodes:
                found = self._sampled(trial, chunk)
                return found | {"images": to_uint8(found.pop("latents"))}
            found, decode = self.latents(trial, chunk), self.loaded.decoder(trial)
            start = perf_counter()
            images = decoded(trial.decoder, decode, found.pop("latents"), self.device, self.batch_size or CHUNK)
            require_finite(images, chunk, f"in decoder '{trial.decoder.name}'")
            seconds = torch.cat([found["seconds"], _float64([perf_counter() - start])])
            return found | {"images": to_uint8(images), "seconds": seconds}

        return self._made("images", self._key("images", trial, chunk), make)

    def latents(self, trial: Trial, chunk: range) -> Tensors:
        """The chunk's ``latents``, float32 ``[n, ...]``, with ``nfe``, ``sigmas`` and ``seconds``, for a decoder.

        For some trials there are ``nfe_each``, ``nfe_guidance`` and ``nfe_idle`` as well; see ``Generated``.
        """
        return self._made("latents", self._key("latents", trial, chunk), lambda: self._sampled(trial, chunk))

    def batch(self, trial: Trial, denoiser: Conditional) -> int:
        """The images per call of the trial's denoiser."""
        return self.batch_size or batch_of(trial, denoiser.shape, self.device)

    def _sampled(self, trial: Trial, chunk: range) -> Tensors:
        denoiser, labels = self.loaded.guided(trial), self.loaded.labels(trial, chunk)
        resolved = self._placed(trial)
        start = perf_counter()
        out = generate(resolved, denoiser, labels, chunk, self.device, self.batch(trial, denoiser))
        found = {"latents": out.x, "nfe": _float64(out.nfe), "sigmas": _float64(out.sigmas)}
        found |= {} if out.nfe_each is None else {"nfe_each": out.nfe_each}
        found |= {key: _float64(value) for key in FURTHER if (value := getattr(out, key))}
        return found | {"seconds": _float64([perf_counter() - start])}

    def features(self, trial: Trial, chunk: range) -> Tensors:
        """The chunk's ``features``, float32 ``[n, d]``, and everything of ``images`` except the images themselves."""

        def make() -> Tensors:
            found = self.images(trial, chunk)
            start = perf_counter()
            features = self.loaded.detect(trial.evaluate.detector, found.pop("images"))
            seconds = torch.cat([found["seconds"], _float64([perf_counter() - start])])
            return found | {"features": features, "seconds": seconds}

        return self._made("features", self._key("features", trial, chunk), make)

    def of(self, stage: Stage, trial: Trial, chunk: range) -> Tensors:
        """A chunk's latents, images or features."""
        return {"latents": self.latents, "images": self.images, "features": self.features}[stage](trial, chunk)

    def has(self, stage: Stage, trial: Trial, chunk: range) -> bool:
        """Whether the cache has a chunk's latents, images or features."""
        return self.cache.path(stage, self._key(stage, trial, chunk)).is_file()

    def observed(self, trial: Trial, metric: Observation) -> Tensors:
        """What ``metric`` measures directly on the sampler or the denoiser, for ``Measured.of``."""

        def make() -> Tensors:
            if isinstance(metric, DenoiserMetric):
                seen = self._denoising(trial, metric.images)
                by = source_of(trial) if metric.built_in() else metric  # no built-in metric draws from generators
                with calling(metric), drawing(name_of(by)):
                    found: object = metric.observe(seen)
                return checked(metric, found, len(seen.y)).tensors()
            assert isinstance(metric, Diagnostic)
            probe = self._probe(self._placed(trial), metric.images, trial.seed)
            with calling(metric):
                found = metric.observe(probe)
            return checked(metric, found, len(probe.latents)).tensors()

        return self._made("observed", self._observation_key(trial, metric), make)

    def has_observed(self, trial: Trial, metric: Observation) -> bool:
        """Whether the cache has an observation."""
        return self.cache.path("observed", self._observation_key(trial, metric)).is_file()

    def plane(self, trial: Trial) -> Tensors:
        """Trajectories and densities in the plane of time and sample, for one-dimensional data."""

        def make() -> Tensors:
            values = self.loaded.data(trial.data).scaled().flatten()
            return plane(self._probe(self._placed(trial), CURVES, trial.seed), values)

        key = content_key("plane", self.loaded.keys(trial).sampling, trial.data.identity())
        return self._made("plane", key, make)

    def _made(self, stage: str, key: str, make: Callable[[], Tensors]) -> Tensors:
        return made(self.cache, self.device, stage, key, make)

    def _key(self, stage: Stage, trial: Trial, chunk: range) -> str:
        """The cache key of a chunk. That of images covers neither their total number nor how they are measured."""
        keys = self.loaded.keys(trial)
        key = content_key(FORMAT, keys.sampling, chunk.start, chunk.stop)
        if stage != "latents" and trial.decoder.decodes:
            key = content_key(key, keys.decoder)
        return content_key(key, keys.detector) if stage == "features" else key

    def _observation_key(self, trial: Trial, metric: Observation) -> str:
        of_denoiser = isinstance(metric, DenoiserMetric)
        seen = trial.denoising_identity() if of_denoiser else self.loaded.keys(trial).sampling
        return content_key(metric.identity(), seen)

    def _placed(self, trial: Trial) -> Trial:
        """The trial, in which time steps that have to be measured are replaced by the resulting noise levels."""
        if not isinstance(trial.design.time_steps, MeasuredTimeSteps):
            return trial
        levels = GivenLevels(levels=tuple(self.levels(trial)["sigmas"].tolist()))
        return trial.model_copy(update={"design": trial.design.with_time_steps(levels)})

    def _probe(self, trial: Trial, images: int, seed: object) -> Probe:
        denoiser, labels = self.loaded.guided(trial), self.loaded.labels(trial, range(images))
        D = denoiser.bind(None if labels is None else labels.to(self.device))
        start = latents(seed, range(images), denoiser.shape).double().to(self.device)
        rows = [getattr(trial.design, row) for part in trial.denoisers for row in part.rows]
        key = (trial.denoiser, trial.guidance, trial.data, trial.evaluate.labels, images, seed, *rows)
        return Probe(trial.design, D, start, trial.num_steps, self._solutions.get(key, Solutions))

    def _denoising(self, trial: Trial, images: int) -> DenoiserProbe:
        data, denoiser = self.loaded.data(trial.data), self.loaded.denoiser(trial)
        own = trial.design if not isinstance(denoiser, PreconditionedNetwork) else training_rows(denoiser.design)
        untrained = trial.denoiser.untrained(data, trial.design, self.device)
        labelled = trial.evaluate.labels != "none"
        return denoising(data, own, (denoiser, untrained), images, self.device, labelled=labelled)


def _float64(value: object) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
