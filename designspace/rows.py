"""The rows beyond Table 1, as types: what else an ablation has to fix to give a number."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import torch
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.component import Component, Count, Positive

if TYPE_CHECKING:
    from designspace.denoising import Denoising
    from designspace.design import Design
    from designspace.evaluation.measure import Measured, Sample
    from designspace.images import Images
    from designspace.sampling.converged import Probe

D = Callable[[Tensor, Tensor], Tensor]
"""``D(x, sigma)``: noisy samples ``[B, ...]`` and their noise level, float64 on the CPU, to the expected clean samples
``[B, ...]``. It may carry ``sigma_min``, ``sigma_max`` and ``round_sigma``; it must not write to x.

``sigma`` is 0-dim, one level for all, except where a solver has each image at a level of its own: ``rk45`` gives
``[B]``. A D for both reshapes it: ``sigma.reshape(-1, *[1] * (x.ndim - 1))``."""


class Stochasticity(Component, row="stochasticity"):
    """How much fresh noise each step of a one-step solver adds before it steps down."""

    noisy: ClassVar[bool] = True
    """False if it never adds any: multistep solvers allow no other."""

    @abstractmethod
    def lift(self, sigma: float, num_steps: int) -> tuple[float, float]:
        r""":math:`(\hat\sigma, S_\mathrm{noise})`: the level to rise to from ``sigma``, and the std of its noise.

        It may be above a denoiser's ``sigma_max``, which bounds the levels of the grid alone.
        """


class Network(Component, row="network"):
    r"""The network :math:`F_\theta(c_\mathrm{in} x; c_\mathrm{noise})`: ``F(x, c_noise [B], labels [B] or None)``.

    Built with augmentation labels, it takes them ``[B, L]`` as a fourth argument; without it they are zeros.
    """

    @abstractmethod
    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> torch.nn.Module:
        """The network with its weights, in evaluation mode, on the CPU; torch's generators are left as they are.

        ``shape`` is that of one sample; ``classes`` are their number, 0: unconditional; ``augment`` is L, 0: none.
        """

    def shape_of(self, data: Images) -> tuple[int, ...]:
        """The shape of one sample, for a network that is used with ``data``: that of its images."""
        return data.shape


class Conditional(Protocol):
    """A denoiser that is ready to run: what ``Denoiser.load`` gives."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    def bind(self, labels: Tensor | None) -> D:
        """``D(x, sigma)`` for these class labels, int64 ``[B]``; ``None`` is unconditional."""


class Denoiser(Component, row="denoiser"):
    r"""Where :math:`D(x; \sigma)` comes from."""

    rows: ClassVar[tuple[str, ...]] = ()
    """The rows of the design that its numbers depend on; others cannot matter for sampling."""
    reads_data: ClassVar[bool] = False
    """True if its numbers depend on the ablation's data set."""
    has_network: ClassVar[bool] = False
    """True if what it loads is a ``PreconditionedNetwork`` of a module, whose parameters have gradients."""

    @abstractmethod
    def load(self, data: Images, design: Design, device: torch.device) -> Conditional:
        """Make it ready to run on ``device``."""

    def untrained(self, data: Images, design: Design, device: torch.device) -> Conditional | None:
        """As it was before it was trained, if that is known."""
        return None


class Data(Component, row="data"):
    """A data set of images, all in memory as uint8."""

    @abstractmethod
    def load(self) -> Images:
        """Read and decode it. Raises ``DataError``, naming the file, if that is impossible."""

    @abstractmethod
    def content_hash(self) -> str:
        """sha256 of the content, whatever its path; raises ``DataError`` if it is missing."""

    def identity(self) -> dict[str, Any]:
        """By content: a moved file is the same data."""
        return self.origin() | {"content": self.content_hash()}


class Augmentation(Component, row="augmentation"):
    """Transformations of training images, with labels for the network so that they do not leak."""

    size: ClassVar[int]
    """The length L of the labels of an image."""

    @abstractmethod
    def __call__(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Transformed images ``[B, C, H, W]`` and augmentation labels ``[B, L]`` (zero: not transformed)."""


class Guidance(Component, row="guidance"):
    """How several denoisers make one."""

    @abstractmethod
    def wrap(self, denoiser: Conditional) -> Conditional:
        """The guided denoiser. Its extra evaluations are counted apart."""


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

    def check(self, design: Design, denoiser: Denoiser) -> None:
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

    def check(self, design: Design, denoiser: Denoiser) -> None:
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
    def observe(self, seen: Denoising) -> Measured:
        """The value for the denoiser of ``seen``."""
