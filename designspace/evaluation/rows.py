"""The rows of the evaluation: detector, metric and reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.denoising.rows import Denoiser
from designspace.evaluation.denoiser_probe import DenoiserProbe
from designspace.evaluation.measure import Draw, Measured, Sample
from designspace.registry.component import Component, Count, Positive
from designspace.sampling.probe import Probe
from designspace.sampling.solver import SamplingRows


class Detector(Component, row="detector"):
    """A network that maps images to features."""

    width: ClassVar[int | None] = None
    """The number d of features, if it does not depend on the images."""

    @abstractmethod
    def protocol(self) -> str:
        """The name of a Fréchet distance of these features: ``FD-`` and a name for them.

        Only that of the built-in detector ``inception`` is called ``FID``.
        """

    def resize(self) -> str:
        """A description of how images are resized to the network's input size; it is part of the protocol."""
        return "its own"

    @abstractmethod
    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """The network as a function from uint8 images ``[B, C, H, W]``, C = 1 or 3, to float32 features ``[B, d]``.

        It runs on ``device`` and returns features on the CPU. Raises ``DataError``, naming the file, if the weights are
        missing or do not have the expected content.
        """


class Reference(Component, row="reference"):
    """A reference with which generated images are compared instead of the ablation's data set."""

    @abstractmethod
    def content_hash(self) -> str:
        """The sha256 of the content, independent of its path. Raises ``DataError`` if it is missing."""

    @abstractmethod
    def load(self, detector: Detector) -> Sample:
        """The features, or their moments as a ``Summary``.

        Raises ``DataError`` if they were evidently not computed by ``detector``.
        """

    def about(self) -> dict[str, Any]:
        """A description of the origin for readers, as plain data."""
        return {}

    def identity(self) -> dict[str, Any]:
        """The origin and the hash of the content, wherever the files are; for a class of a user, its fields as well."""
        own = self.origin() if self.built_in() else super().identity()
        return own | {"content": self.content_hash()}


class Metric(Component, row="metric"):
    """A measure of a trial, in general computed from features of generated images and of a reference."""

    higher_is_better: ClassVar[bool | None] = False
    """The direction of better values; ``None`` if there is none, in which case reports mark no best value."""
    dimensions: ClassVar[int | None] = None
    """The only dimension of features that the metric accepts; ``None`` if it accepts any."""
    moments_suffice: ClassVar[bool] = False
    """True if the metric needs only the mean and covariance of the reference, not its features."""

    @classmethod
    def get(cls, name: str) -> type[Self]:
        """Look up a metric by name. The error for ``fid`` explains that it is a metric together with a detector."""
        if name.lower() == "fid" and name not in cls.known:
            text = f"unknown metric '{name}'. FID is metric frechet with detector inception"
            raise PydanticCustomError("unknown_component", "{text}", {"text": text})
        return super().get(name)

    @property
    def least(self) -> int:
        """The smallest number of images that the metric needs, both generated and in the reference."""
        return 2

    def called(self, frechet: str) -> str:
        """The name of the metric together with its features, such as ``KID-inception``.

        ``frechet`` is the name of a Fréchet distance of the same features, as returned by ``Detector.protocol``.
        """
        features = f"inception{frechet[3:]}" if frechet.startswith("FID") else frechet.removeprefix("FD-")
        return f"{str(self).replace(self.name, self.name.upper(), 1)}-{features}"

    def check(self, design: SamplingRows, denoiser: Denoiser) -> None:
        """Raise ``ValueError`` if the metric is not defined for ``design`` and ``denoiser``; it is then left out."""

    @abstractmethod
    def measure(self, generated: Sample, reference: Sample) -> Measured:
        """The value with its standard error and, if available, the influence of each image."""

    def value(self, generated: Sample, reference: Sample) -> float:
        """The value alone, for metrics that compute it faster than their error."""
        return self.measure(generated, reference).value

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> Sequence[float]:
        """The value for each of several sets of n images that are drawn from the reference itself."""
        return [self.value(reference.subset(draw), reference) for draw in draws]


class Observation(Metric):
    """A metric that observes the sampler or the denoiser on a few images, without features and reference."""

    profile_of: ClassVar[str] = ""
    """The quantity in the profile with its unit, used as the label of an axis."""
    images: Count = 32

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        """Raises ``TypeError``: the metric is not computed from features."""
        raise TypeError(f"metric {self.name} is not computed from features: use observe")


class Diagnostic(Observation):
    """A metric of the sampling process itself."""

    @abstractmethod
    def observe(self, probe: Probe) -> Measured:
        """The value for the design and the images of ``probe``."""

    def check(self, design: SamplingRows, denoiser: Denoiser) -> None:
        """Raise ``ValueError`` if sampling is stochastic, because samples then do not follow the probability flow."""
        noise = f"stochasticity {design.stochasticity}" if design.stochasticity.noisy else f"solver {design.solver}"
        if design.stochasticity.noisy or design.solver.stochastic:
            raise ValueError(f"metric {self.name}: {noise} adds noise, so samples do not follow the flow")


class DenoiserMetric(Observation):
    r"""A metric of the denoiser on noisy images of its data set, independent of the sampler.

    Its profile has ``levels`` noise levels from ``sigma_min`` to ``sigma_max``, evenly spaced in :math:`\ln\sigma`,
    without those that the row c_noise does not support.
    """

    images: Count = 256
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    levels: Count = 24

    @abstractmethod
    def observe(self, seen: DenoiserProbe) -> Measured:
        """The value for the denoiser and the images of ``seen``."""
