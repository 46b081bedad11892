"""What a component is combined with in its checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from designspace.data.images import Images
from designspace.design import Design
from designspace.evaluation.rows import Detector
from designspace.sampling.rows import Schedule


@dataclass(frozen=True)
class Context:
    """The surroundings of a component: small stand-ins, or where they are given, what it meets in a trial."""

    rows: Design | None = None
    """The design; by default EDM's, and all built-in schedules."""
    detector: Detector | None = None
    """The detector; by default every registered one."""
    num_steps: tuple[int, ...] = (2, 5, 18)
    limits: tuple[float, float] = (0.05, 60.0)
    """The noise levels that a denoiser supports."""
    labels: tuple[tuple[int, int], ...] = ((0, 0), (4, 0), (4, 5))
    """Pairs of a number of classes and a length of augmentation labels."""
    images: Images | None = None
    """The data set; by default random images."""
    shape_of: Callable[[Images], tuple[int, ...] | None] = lambda images: None
    """The shape of a sample of the denoiser that is used with a data set; ``None`` for that of ``latents``."""

    @property
    def in_trial(self) -> bool:
        """Whether these are the surroundings in a trial, where a component need not support anything else."""
        return self.rows is not None

    @cached_property
    def design(self) -> Design:
        """The design that a denoiser is loaded with."""
        return self.rows or Design.preset("edm")

    @property
    def schedules(self) -> list[Schedule]:
        """The schedules that a scaling is checked with."""
        built_in = (cls for cls in Schedule.known.values() if cls.__module__.startswith("designspace.components."))
        return [self.rows.schedule] if self.rows else [cls() for cls in built_in]

    @property
    def detectors(self) -> list[Detector]:
        """The detectors that a reference is loaded for."""
        if self.detector:
            return [self.detector]
        known = [cls for cls in Detector.known.values() if not any(f.is_required() for f in cls.model_fields.values())]
        return [cls() for cls in known]

    @property
    def latents(self) -> tuple[int, ...]:
        """The shape of what a decoder is given."""
        return (self.shape_of(self.images) if self.images else None) or (4, 8, 8)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of images."""
        return [self.images.shape] if self.images else [(1, 8, 8), (3, 8, 8)]


STAND_INS = Context()


def stand_in_images(shape: tuple[int, ...]) -> Images:
    """Random images of two classes."""
    pixels = torch.randint(256, (32, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Images(pixels, torch.arange(32) % 2, ("0", "1"))
