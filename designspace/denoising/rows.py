"""The rows of the block *Network and preconditioning* of Table 1, and the rows that provide denoisers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.registry.calling import require_tensor
from designspace.registry.component import Component
from designspace.sampling.levels import nearest
from designspace.sampling.rows import D, SupportedLevels


class CSkip(Component, row="c_skip"):
    r"""Skip scaling :math:`c_\mathrm{skip}(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor:
        """The coefficient for noise levels ``sigma``, float64 of any shape, in the same shape."""


class COut(Component, row="c_out"):
    r"""Output scaling :math:`c_\mathrm{out}(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor:
        """The coefficient for noise levels ``sigma``, float64 of any shape, in the same shape."""


class CIn(Component, row="c_in"):
    r"""Input scaling :math:`c_\mathrm{in}(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor:
        """The coefficient for noise levels ``sigma``, float64 of any shape, in the same shape."""


class CNoise(Component, row="c_noise"):
    r"""Noise conditioning :math:`c_\mathrm{noise}(\sigma)`: the noise level as the network sees it.

    A network supports only the levels it was trained on; ``limits`` and ``round_sigma`` tell the sampler which.
    """

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor:
        """The input of the network for noise levels ``sigma``, float64 of any shape, in the same shape."""

    def limits(self) -> tuple[float, float]:
        """The lowest and the highest noise level that the network supports."""
        return 0.0, float("inf")

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The supported noise level nearest to each of ``sigma``."""
        return sigma

    def supported(self, sigma: Tensor) -> Tensor:
        """Noise levels clamped to the limits and rounded to supported levels."""
        lo, hi = self.limits()
        return self.round_sigma(sigma.clamp(lo, hi))


class DiscreteCNoise(CNoise):
    r""":math:`c_\mathrm{noise} = M - 1 - \arg\min_{j \le M} |u_j - \sigma|`: -1 at sigma = 0, M - 1 at :math:`u_0`."""

    @abstractmethod
    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""

    def __call__(self, sigma: Tensor) -> Tensor:
        levels = self.levels()
        return (len(levels) - 2 - nearest(levels, sigma)).to(sigma.dtype)

    def limits(self) -> tuple[float, float]:
        """The levels :math:`u_{M-1}` and :math:`u_0`."""
        u = self.levels()
        return float(u[-2]), float(u[0])

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The nearest of the levels, including 0."""
        return self.levels()[nearest(self.levels(), sigma)]


class PreconditioningRows(Protocol):
    """The rows in Eq. 7 of Karras et al. (2022), which a denoiser needs; a ``Design`` has them."""

    @property
    def c_skip(self) -> CSkip:
        """Skip scaling."""

    @property
    def c_out(self) -> COut:
        """Output scaling."""

    @property
    def c_in(self) -> CIn:
        """Input scaling."""

    @property
    def c_noise(self) -> CNoise:
        """Noise conditioning."""


class Network(Component, row="network"):
    r"""The network :math:`F_\theta(c_\mathrm{in} x; c_\mathrm{noise})`: ``F(x, c_noise [B], labels [B] or None)``.

    The label -1 means "no class"; training with ``label_dropout`` gives it. A network built for augmentation takes its
    labels ``[B, L]`` as an optional fourth argument, by default zero.
    """

    runs_user_code: ClassVar[bool] = False
    """Whether ``build`` executes code that a spec names, so that the network is called once when a spec is loaded."""
    takes_augmentation: ClassVar[bool] = True
    """Whether it can be built for augmentation labels; otherwise ``build`` raises ``DataError`` for them."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> torch.nn.Module:
        """Build the network with its weights, in evaluation mode on the CPU, without changing PyTorch's generators.

        ``shape`` is the shape of one sample, ``classes`` the number of classes (0: unconditional), and ``augment`` the
        length L of augmentation labels (0: none).
        """

    def shape_of(self, data: Images) -> tuple[int, ...]:
        """The shape of one sample for a network used with ``data``; by default that of the images."""
        return data.shape

    def needs_labels(self, classes: int) -> bool:
        """Whether the network, built for this number of classes, cannot be called without labels."""
        return False

    @property
    def drops_labels(self) -> bool:
        """Whether it leaves out some of its labels in training, by a field ``label_dropout`` of its own."""
        return bool(getattr(self, "label_dropout", 0.0))

    def knows_no_class(self, classes: int) -> bool:
        """Whether a network of other programs, with these fields and classes, has been trained without labels, too."""
        return self.drops_labels


class Conditional(Protocol):
    """A denoiser on its device, as returned by ``Denoiser.load``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    def bind(self, labels: Tensor | None) -> D:
        """``D(x, sigma)`` for class labels, int64 ``[B]``; ``None`` means unconditional."""


class Denoiser(Component, row="denoiser"):
    r"""The source of the denoiser :math:`D(x; \sigma)`."""

    rows: ClassVar[tuple[str, ...]] = ()
    """The rows of the design that the denoiser depends on."""
    reads_data: ClassVar[bool] = False
    """True if the denoiser depends on the data set of the ablation."""
    has_network: ClassVar[bool] = False
    """True if ``load`` returns a ``PreconditionedNetwork`` whose network is a ``torch.nn.Module`` with gradients."""
    runs_user_code: ClassVar[bool] = False
    """Whether ``load`` executes code that a spec names; D is then called when the spec is loaded."""
    models_pixels: ClassVar[bool] = False
    """True if its samples are always distributed as the images of the data set, and never latents of a decoder."""

    @abstractmethod
    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        """Prepare the denoiser for use on ``device``."""

    def untrained(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional | None:
        """The denoiser before training, or ``None`` if it is not available."""
        return None

    def known_classes(self, data: Images) -> int | None:
        """The number of classes that the denoiser knows, 0 if it takes no labels; ``None`` if it does not say."""
        return None

    def why_labels(self) -> str:
        """Why it cannot be evaluated without labels, and what to do; empty if it can."""
        return ""

    def snapshot(self, fraction: float) -> Denoiser:
        """The same denoiser after a fraction of its training. Raises ``ValueError`` if there is none."""
        raise ValueError(f"denoiser {self.name} has no snapshots of its training: name another denoiser as the guide")

    def keeps(self, fraction: float) -> bool:
        """Whether ``snapshot(fraction)`` needs no training of its own."""
        return True

    def shape_of(self, data: Images) -> tuple[int, ...] | None:
        """The shape of one sample for a denoiser used with ``data``; ``None`` if only ``load`` finds out."""
        return None

    def supported(self, design: PreconditioningRows) -> SupportedLevels | None:
        """What limits and rounds noise levels to those that the denoiser supports; ``None`` for any level."""
        return design.c_noise if "c_noise" in self.rows else None

    def training_identity(self) -> dict[str, Any]:
        """The part of ``identity`` that determines its training; by default all of it."""
        return self.identity()

    def cautions(self) -> list[str]:
        """What users of the denoiser's files may not know; each is a warning when a spec is loaded."""
        return []

    def repeated(self, k: int) -> Self:
        """The denoiser of repeat k: with other random numbers if it is trained, otherwise itself."""
        return self


class Decoder(Component, row="decoder"):
    """The map from samples of the denoiser to images, for a denoiser that works on latents."""

    decodes: ClassVar[bool] = True
    """False if samples are the images themselves."""

    @abstractmethod
    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Prepare the decoder on ``device``.

        The function that it returns takes latents, float32 ``[B, ...]`` on the device, and gives images in [-1, 1],
        floating-point ``[B, C, H, W]``, of any size B. Images are clipped and rounded to uint8 afterwards.
        """

    def shape_of(self, latents: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of an image that is decoded from latents of this shape, by default found by decoding zeros."""
        with torch.no_grad():
            found: object = self.load(torch.device("cpu"))(torch.zeros(1, *latents))
        return require_tensor(self, "the image of one latent", found, (1, "C", "H", "W")).shape[1:]
