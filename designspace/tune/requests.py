"""What a search measures: designs on common latents, each request as an ordinary ablation with one axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from designspace.run.generate import CHUNK
from designspace.spec.ablation import Ablation
from designspace.spec.candidates import Changes
from designspace.spec.trial import Trial
from designspace.storage.files import content_key

AXIS = "arm"
"""The axis of the designs that a request compares."""


@dataclass(frozen=True)
class Request:
    """Designs that are to be measured at one budget with the same number of images.

    A request may be evaluated anywhere: ``ablation`` is an ordinary ablation, which ``designspace.run`` takes.
    """

    ablation: Ablation
    arms: Mapping[str, Changes]
    """What each design changes in the baseline, by its label."""
    budget: int
    images: int
    """The number of images per design and repeat."""

    @classmethod
    def of(cls, ablation: Ablation, arms: Mapping[str, Changes], budget: int, images: int) -> Request:
        """The request for these designs of an ablation with ``search``. Raises ``SpecError`` if one does not fit."""
        assert ablation.search is not None
        fields: dict[str, Any] = {
            "search": None,
            "claims": (),
            ablation.search.step_field: budget,
            "grid": {AXIS: [{"label": label, "set": dict(changes)} for label, changes in arms.items()]},
            "evaluate": {**ablation.evaluate, "images": images},
        }
        measured = ablation.changed(**fields)
        ids = [[point.trial.id, point.axes] for point in measured.points()]
        return cls(measured.changed(name=content_key(ids)[:16]), arms, budget, images)

    @cached_property
    def samples(self) -> dict[str, int]:
        """The number of images of each distinct sampler and seed, by a hash of what its samples depend on."""
        return {samples_of(trial): self.images for trial in self.ablation.trials()}


def samples_of(trial: Trial) -> str:
    """A hash of everything that the images of a trial depend on, but not of their number."""
    return content_key(trial.sampling_identity(), trial.decoder.identity())


def stage_sizes(images: int, stages: int) -> list[int]:
    """The number of images of each stage of a race, each about twice as many as the one before.

    They are rounded up to whole chunks, in which images are generated and cached. Stages of equal size are left out.
    """
    sizes = (math.ceil(images / 2 ** (stages - 1 - stage) / CHUNK) * CHUNK for stage in range(stages))
    return sorted({min(size, images) for size in sizes})
