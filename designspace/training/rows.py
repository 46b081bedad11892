"""The rows of the block *Training* of Table 1, augmentation, and the average of the parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from designspace.denoising.rows import CIn, CNoise, COut, CSkip, PreconditioningRows
from designspace.registry.component import Component, Spec


class AdaptedLevels(nn.Module):
    """A noise distribution that changes in training. Checkpoints keep its parameters and buffers.

    The noise levels are drawn on the CPU: ``from_uniform`` must not wait for another device.
    """

    def from_uniform(self, u: Tensor) -> Tensor:
        """The quantile function at present: noise levels for ``u`` in (0, 1), float64, in the same shape."""
        raise NotImplementedError

    def see(self, sigma: Tensor, losses: Tensor, step: int) -> None:
        """Take the losses ``[B]`` of a step, on the device, and its noise levels ``[B]``, on the CPU, into account."""
        raise NotImplementedError


class LearnedWeight(nn.Module):
    """A loss weight with parameters, which the optimizer trains together with those of the network.

    Checkpoints keep its parameters and buffers. There is no average of them.
    """

    def forward(self, errors: Tensor, sigma: Tensor) -> Tensor:
        r"""The losses ``[B]`` to minimise, from the weighted errors :math:`\lambda(\sigma) |D - y|^2 / d`, ``[B]``."""
        raise NotImplementedError

    def expected(self, sigma: Tensor) -> Tensor | None:
        """The weighted errors that it expects at noise levels ``[n]``, float64 on the CPU; ``None`` if it has none."""
        return None


class NoiseDistribution(Component, row="noise_distribution"):
    r"""The distribution of noise levels in training, :math:`p_\mathrm{train}(\sigma)`."""

    @abstractmethod
    def from_uniform(self, u: Tensor) -> Tensor:
        """The quantile function: noise levels for ``u`` in (0, 1), float64, in the same shape."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` noise levels, float64 ``[n]``."""
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return self.from_uniform(u.clamp_min(2.0**-54))  # rand may return 0, whose quantile may be infinite

    def adapted(self, device: torch.device) -> AdaptedLevels | None:
        """What draws the levels in a training on ``device``, beginning with ``from_uniform``; ``None`` for itself."""
        return None


class LossWeight(Component, row="loss_weight"):
    r"""The loss weight :math:`\lambda(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor:
        """The weights for noise levels ``sigma``, float64 of any shape, in the same shape."""

    def learned(self) -> LearnedWeight | None:
        """What makes the losses of weighted errors in a training; ``None`` if these are the losses."""
        return None


class DiscreteNoiseDistribution(NoiseDistribution):
    r""":math:`\sigma = u_j, \; j = \lfloor M u \rfloor`: all M positive levels are equally likely."""

    @abstractmethod
    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""

    def from_uniform(self, u: Tensor) -> Tensor:
        levels = self.levels()[:-1]
        return levels[(u * len(levels)).floor().long().clamp(0, len(levels) - 1)]


class Augmentation(Component, row="augmentation"):
    """Random transformations of training images, with labels that tell the network about them.

    At sampling time the labels are zero, so that generated images look untransformed (non-leaky augmentation).
    """

    size: ClassVar[int]
    """The length L of the labels of an image; a property if it depends on the fields."""

    @abstractmethod
    def __call__(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Transform ``images``, float32 ``[B, C, H, W]`` in [-1, 1].

        Returns the transformed images and augmentation labels ``[B, L]``, zero for images that are unchanged.
        """


class EMA(Component, row="ema"):
    r"""The moving average of the parameters in the course of training, with which the denoiser is evaluated.

    An average may be a sum of others that training tracks, so that it can be chosen after training. It then defines
    ``tracked``, ``kept`` and ``weights``, and the fields of those others alone determine the training.
    """

    @abstractmethod
    def decay(self, images: int, batch_size: int) -> float:
        """The weight of the old average in the step before which ``images`` images have been seen, from 0 to 1."""

    def tracked(self) -> tuple[EMA, ...]:
        """The averages that training tracks, by default only this one."""
        return (self,)

    def kept(self, step: int) -> Sequence[int]:
        """The steps after which the tracked averages are still kept after ``step``, by default none.

        Training keeps a step only if ``kept`` names it from then on, without interruption.
        """
        return ()

    def weights(self, steps: Sequence[int]) -> Tensor:
        """The weights ``[len(steps), len(tracked())]``, float64, of the tracked averages in this one.

        The last of ``steps`` is the end of the training, the others are those of ``kept``.
        """
        return torch.ones(1, 1, dtype=torch.float64)

    def error(self, steps: Sequence[int]) -> float:
        """The relative error of an average with these ``weights``."""
        return 0.0

    @property
    def tag(self) -> str:
        """What the names of files add to tell this average from others of the same training; by default nothing."""
        return ""


@runtime_checkable
class TrainingRows(PreconditioningRows, Protocol):
    """The rows in Eq. 8 of Karras et al. (2022), which training needs; a ``Design`` has them."""

    @property
    def noise_distribution(self) -> NoiseDistribution:
        """The distribution of noise levels in training."""

    @property
    def loss_weight(self) -> LossWeight:
        """The loss weight of a noise level."""


def training_rows(design: PreconditioningRows) -> TrainingRows:
    """Return ``design`` if it also has the rows of training. Raises ``TypeError`` otherwise."""
    if not isinstance(design, TrainingRows):
        raise TypeError("training needs a design with the rows noise_distribution and loss_weight")
    return design


def training_sigmas(design: TrainingRows, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw ``n`` noise levels to train on, float64 ``[n]``, from ``noise_distribution``.

    They are clamped and rounded to levels that ``c_noise`` supports, as the levels of the sampler are.
    """
    return design.c_noise.supported(design.noise_distribution.sample(n, generator))


class OwnRows(Spec):
    """The rows that a network was trained with, for denoisers that do not take them from the design."""

    c_skip: CSkip
    c_out: COut
    c_in: CIn
    c_noise: CNoise
    noise_distribution: NoiseDistribution
    loss_weight: LossWeight
