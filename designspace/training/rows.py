"""The rows of the block *Training* of Table 1, and augmentation, as types."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from designspace.denoising.rows import CIn, CNoise, COut, CSkip, PreconditioningRows
from designspace.registry.component import Component, Spec


class NoiseDistribution(Component, row="noise_distribution"):
    r"""The distribution of noise levels in training, :math:`p_\mathrm{train}(\sigma)`."""

    @abstractmethod
    def from_uniform(self, u: Tensor) -> Tensor:
        """The noise level for each ``u ~ U(0, 1)``, same shape."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` noise levels, float64 ``[n]``."""
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return self.from_uniform(u.clamp_min(2.0**-54))  # rand can give 0, at which a quantile is infinite


class LossWeight(Component, row="loss_weight"):
    r"""The loss weight :math:`\lambda(\sigma)`."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor: ...


class DiscreteNoiseDistribution(NoiseDistribution):
    r""":math:`\sigma = u_j, \; j = \lfloor M u \rfloor`: each of the M positive levels is as likely as the others."""

    @abstractmethod
    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""

    def from_uniform(self, u: Tensor) -> Tensor:
        levels = self.levels()[:-1]
        return levels[(u * len(levels)).floor().long().clamp(0, len(levels) - 1)]


class Augmentation(Component, row="augmentation"):
    """Transformations of training images, with labels for the network so that they do not leak."""

    size: ClassVar[int]
    """The length L of the labels of an image."""

    @abstractmethod
    def __call__(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Transformed images ``[B, C, H, W]`` and augmentation labels ``[B, L]`` (zero: not transformed)."""


@runtime_checkable
class TrainingRows(PreconditioningRows, Protocol):
    """The rows of Eq. 8 of Karras et al. (2022), as a ``Design`` has them: all that training needs."""

    @property
    def noise_distribution(self) -> NoiseDistribution:
        """Of the noise levels in training."""

    @property
    def loss_weight(self) -> LossWeight:
        """The weight of a noise level."""


def training_rows(design: PreconditioningRows) -> TrainingRows:
    """``design``, if it has the rows of training as well. Raises ``TypeError`` if it has not."""
    if not isinstance(design, TrainingRows):
        raise TypeError("training needs a design with the rows noise_distribution and loss_weight")
    return design


def training_sigmas(design: TrainingRows, n: int, generator: torch.Generator | None = None) -> Tensor:
    """``n`` noise levels to train on, float64 ``[n]``, on the levels that the sampler will ask for.

    They are drawn from ``noise_distribution``, then moved to levels that ``c_noise`` supports.
    """
    return design.c_noise.supported(design.noise_distribution.sample(n, generator))


class OwnRows(Spec):
    """The rows that a network was trained with, where they are its own and not those of a design."""

    c_skip: CSkip
    c_out: COut
    c_in: CIn
    c_noise: CNoise
    noise_distribution: NoiseDistribution
    loss_weight: LossWeight
