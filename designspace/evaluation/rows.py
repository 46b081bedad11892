"""The rows that say how generated images are measured, as types."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.denoising.rows import Denoiser
from designspace.evaluation.denoiser_probe import DenoiserProbe
from designspace.evaluation.measure import Measured, Sample
from designspace.registry.component import Component, Count, Positive
from designspace.sampling.probe import Probe
from designspace.sampling.solver import SamplingRows


class Detector(Component, row="detector"):
    """A feature network."""

    width: ClassVar[int | None] = None
    """The number d of its features, where that does not depend on the images."""

    @abstractmethod
    def protocol(self) -> str:
        """What a Fréchet distance of these features is called: ``FID``, or ``FD-`` and the features' name."""

    def resize(self) -> str:
        """How images come to the size that the network takes: a part of the protocol, in words."""
        return "its own"

    @abstractmethod
    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """The network as a function: uint8 ``[B, C, H, W]``, C = 1 or 3, to float32 features ``[B, d]`` on the CPU.

        Raises ``DataError``, naming the file, if its weights are missing or not the right ones.
        """


class Reference(Component, row="reference"):
    """What generated images are measured against, where that is not the ablation's data set."""

    @abstractmethod
    def content_hash(self) -> str:
        """sha256 of the content, whatever its path; raises ``DataError`` if it is missing."""

    @abstractmethod
    def load(self, detector: Detector) -> Sample:
        """The features, or all that is known of them. Raises ``DataError`` unless they can be those of ``detector``."""

    def about(self) -> dict[str, Any]:
        """Where it comes from, as plain data, for people."""
        return {}

    def identity(self) -> dict[str, Any]:
        """By content: a moved file is the same reference."""
        return self.origin() | {"content": self.content_hash()}


class Metric(Component, row="metric"):
    """What a trial is measured by: a distance between the features of generated images and those of a reference."""

    higher_is_better: ClassVar[bool | None] = False
    """``None`` if neither is: reports then mark no best value."""
    dimensions: ClassVar[int | None] = None
    """Of the features that it is for; ``None``: any."""
    moments_suffice: ClassVar[bool] = False
    """True if of the reference it needs the mean and covariance of the features, not the features themselves."""

    @classmethod
    def get(cls, name: str) -> type[Self]:
        """As of any row; what everybody calls FID is two choices here."""
        if name.lower() == "fid" and name not in cls.known:
            text = f"unknown metric '{name}'. FID is metric frechet with detector inception"
            raise PydanticCustomError("unknown_component", "{text}", {"text": text})
        return super().get(name)

    @property
    def least(self) -> int:
        """The images that it takes, generated and of the reference."""
        return 2

    def called(self, frechet: str) -> str:
        """Its name, with that of the features, where a Fréchet distance of them is called ``frechet``: its protocol."""
        features = f"inception{frechet[3:]}" if frechet.startswith("FID") else frechet.removeprefix("FD-")
        return f"{str(self).replace(self.name, self.name.upper(), 1)}-{features}"

    def check(self, design: SamplingRows, denoiser: Denoiser) -> None:
        """Raise ``ValueError`` if ``design`` with ``denoiser`` cannot be measured by it: such trials go without."""

    @abstractmethod
    def measure(self, generated: Sample, reference: Sample) -> Measured:
        """The value with its standard error and, where it has them, the influence of each image."""


class Observation(Metric):
    """A metric of what happens on a few images: no features, no reference, no noise of a distance."""

    profile_of: ClassVar[str] = ""
    """What its profile shows, with its unit: the label of an axis."""
    images: Count = 32

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        """Not from features."""
        raise TypeError(f"metric {self.name} is not measured on features: use observe")


class Diagnostic(Observation):
    """A metric of the sampling itself."""

    @abstractmethod
    def observe(self, probe: Probe) -> Measured:
        """The value for the design of ``probe`` on its images."""

    def check(self, design: SamplingRows, denoiser: Denoiser) -> None:
        """Raises ``ValueError`` if noise is drawn, so that no solution of the flow is followed."""
        noise = f"stochasticity {design.stochasticity}" if design.stochasticity.noisy else f"solver {design.solver}"
        if design.stochasticity.noisy or design.solver.stochastic:
            raise ValueError(f"metric {self.name}: {noise} adds noise, so samples follow no curve of the flow")


class DenoiserMetric(Observation):
    r"""A metric of the denoiser on noisy images of its data set, whatever samples from it.

    Its profile has ``levels`` noise levels, even in :math:`\ln\sigma` from ``sigma_min`` to ``sigma_max``, but for
    those that the row c_noise does not support.
    """

    images: Count = 256
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    levels: Count = 24

    @abstractmethod
    def observe(self, seen: DenoiserProbe) -> Measured:
        """The value for the denoiser of ``seen``."""
