"""The rows of the block *Training* of Table 1, augmentation, and the average of the parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from designspace.denoising.rows import CIn, CNoise, COut, CSkip, PreconditioningRows
from designspace.registry.calling import elementwise
from designspace.registry.component import Component, Spec

LOWEST_U, HIGHEST_U = 2.0**-54, 1 - 2.0**-53
"""The range of the random numbers that ``NoiseDistribution.sample`` passes to the quantile function."""
FARTHEST = 16.0
"""The largest logit of u at which a density is computed from quantiles: a ten-millionth of the levels lies beyond."""


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
        return self.from_uniform(u.clamp_min(LOWEST_U))  # rand may return 0, whose quantile may be infinite

    def limits(self) -> tuple[float, float]:
        """The lowest and the highest noise level that ``sample`` may return."""
        low, high = self.from_uniform(torch.tensor([LOWEST_U, HIGHEST_U], dtype=torch.float64)).sort().values.tolist()
        return low, high

    def density(self, sigma: Tensor) -> Tensor:
        r"""The density :math:`p(\ln\sigma)` at noise levels between the ``limits``, float64 of any shape.

        By default, it is computed from the slope of the quantile function, which has to be continuous and strictly
        monotone. Its relative error is about 1e-10 near the median and below 1e-6 everywhere except for the lowest and
        the highest ten-millionth of the levels, which get the density at the level where they begin. Raises
        ``ValueError`` if the distribution has no density, or changes in training.
        """
        if self.adapted(torch.device("cpu")) is not None:
            what = f"noise_distribution {self.name} changes in training and has no fixed density"
            raise ValueError(f"{what}: use one that does not change, such as edm or uniform_log")
        return _density(self.from_uniform, sigma)

    def adapted(self, device: torch.device) -> AdaptedLevels | None:
        """What draws the levels in a training on ``device``, beginning with ``from_uniform``; ``None`` for itself."""
        return None


def _density(quantile: Callable[[Tensor], Tensor], sigma: Tensor) -> Tensor:
    """The derivative of u by ln sigma, where u is found by bisection of its logit."""

    def level(logit: Tensor) -> Tensor:
        return quantile(logit.sigmoid()).log()

    target, ends = sigma.log(), torch.tensor([-FARTHEST, FARTHEST], dtype=sigma.dtype)
    low, high = (torch.full_like(sigma, end) for end in ends.tolist())
    rises = bool(level(ends).diff() > 0)
    for _ in range(52):
        middle = (low + high) / 2
        beyond = (level(middle) > target) == rises
        low, high = low.where(beyond, middle), middle.where(beyond, high)
    logit = (low + high) / 2
    step = (torch.finfo(sigma.dtype).eps * (1 + logit.abs().exp())).pow(1 / 3)  # balances truncation and rounding
    slope = (level(logit + step) - level(logit - step)).abs() / (2 * step)
    return logit.sigmoid() * (-logit).sigmoid() / slope


class LossWeight(Component, row="loss_weight"):
    r"""The loss weight :math:`\lambda(\sigma)`, by which the squared error of the denoised sample is multiplied.

    The loss is :math:`\mathbb E[\lambda(\sigma) |D - y|^2]`. A weight w that a publication puts on the error of
    another prediction is converted: it is :math:`\lambda = w / \sigma^2` for the noise, :math:`\lambda = w / t^2` with
    :math:`t = \sigma / (1 + \sigma)` for the velocity of flow matching, :math:`\lambda = w (1 + 1 / \sigma^2)` for
    that of Salimans and Ho with data of unit variance, and :math:`\lambda = w / c_\mathrm{out}^2` for the output of
    the network. The signal-to-noise ratio is :math:`1 / \sigma^2`. How much a noise level counts depends on how often
    it is drawn, too: the effective weight per unit of :math:`\ln\sigma` is :math:`\lambda(\sigma)\, p(\ln\sigma)`.
    """

    needs_density: ClassVar[bool] = False
    """Whether ``weigh`` uses the density of the noise distribution, which is then one that has a density."""

    @abstractmethod
    def __call__(self, sigma: Tensor) -> Tensor:
        """The weights for noise levels ``sigma``, float64 of any shape, in the same shape."""

    def weigh(self, sigma: Tensor, distribution: NoiseDistribution) -> Tensor:
        """The weights for noise levels that are drawn from ``distribution``, by default those of ``__call__``."""
        return self(sigma)

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

    def density(self, sigma: Tensor) -> Tensor:
        """There is none: raises ``ValueError``."""
        what = f"noise_distribution {self.name} draws from {len(self.levels()) - 1} levels and has none"
        raise ValueError(f"{what}: use a continuous one, such as edm or uniform_log")


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


def training_weights(design: TrainingRows, sigma: Tensor) -> Tensor:
    """The loss weights of noise levels ``sigma``, float64 of any shape, that are drawn from ``noise_distribution``."""
    weigh = partial(design.loss_weight.weigh, distribution=design.noise_distribution)
    return elementwise(design.loss_weight, "the weight", weigh, sigma)


class OwnRows(Spec):
    """The rows that a network was trained with, for denoisers that do not take them from the design."""

    c_skip: CSkip
    c_out: COut
    c_in: CIn
    c_noise: CNoise
    noise_distribution: NoiseDistribution
    loss_weight: LossWeight
