"""Mixtures of Gaussians as toy data: points as images, and the denoiser in closed form."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cache, partial
from typing import Self

import torch
from pydantic import model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.data.images import Images, to_uint8
from designspace.data.limits import require_room
from designspace.data.rows import Data
from designspace.denoising.rows import Conditional, Denoiser, PreconditioningRows
from designspace.registry.component import Count, Finite, Positive, Spec
from designspace.sampling import rows
from designspace.sampling.counted import count_call
from designspace.sampling.noise import generator

Vector = tuple[Finite, ...]


class Modes(Spec):
    r""":math:`p(x) = \sum_k w_k\, \mathcal N(x; \mu_k, \Sigma_k)` in d dimensions, where each mode has a class."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """The number of dimensions d."""

    @abstractmethod
    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights [K], means [K, d] and covariances [K, d, d] in float64 on the CPU."""

    def class_of_mode(self) -> Tensor:
        """The class of each mode, int64 ``[K]`` with values from 0; by default, each mode is a class of its own."""
        return torch.arange(len(self.parameters()[0]))


class MixtureData(Modes, Data):
    """Points of a Gaussian mixture as images ``[1, 1, d]``, labelled with their classes.

    Points are rounded to the 256 values of a pixel, so the modes should lie within [-1, 1]. The same ``seed`` gives the
    same points, and a higher ``count`` adds to them.
    """

    count: Count = 10_000
    seed: int = 0

    def load(self) -> Images:
        require_room(16 * self.count * (self.dim + 1), f"data {self.name}")
        weights, means, covs = self.parameters()
        u = torch.from_numpy(generator(self.name, "mode", self.seed).random(self.count))
        x = torch.from_numpy(generator(self.name, "point", self.seed).standard_normal((self.count, self.dim)))
        modes, classes = torch.bucketize(u, weights.cumsum(0)[:-1], right=True), self.class_of_mode()
        for k, root in enumerate(torch.linalg.cholesky(covs)):
            x[modes == k] = means[k] + x[modes == k] @ root.T
        return Images(to_uint8(x)[:, None, None], classes[modes], tuple(map(str, range(_count(self)))))

    def content_hash(self) -> str:
        return _hash(self)


@cache
def _hash(data: MixtureData) -> str:
    return data.load().content_hash


class MixtureDenoiser(Modes, Denoiser):
    r"""The L2-optimal denoiser of a Gaussian mixture in closed form.

    Samples are ``[B, d]``, or ``[B, ...]`` with d numbers each. With labels, sample i belongs to the modes of the class
    ``labels[i]`` alone. The score is :math:`(D - x) / \sigma^2`. All computations are in float64.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image of the data set."""
        return (1, 1, self.dim)

    def known_classes(self, data: Images) -> int:
        return _count(self)

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.shape

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        return self

    def bind(self, labels: Tensor | None = None) -> rows.D:
        """``D(x, sigma)``, in the dtype of ``x``. Raises ``ValueError`` if a label is not the number of a class."""
        classes = _count(self)
        if labels is not None and not bool(((labels >= 0) & (labels < classes)).all()):
            raise ValueError(f"denoiser {self.name}: labels are 0 to {classes - 1}, not {labels.tolist()}")
        return partial(_denoise, _axes(self), labels)


@cache
def _count(mixture: Modes) -> int:
    return int(mixture.class_of_mode().max()) + 1


@cache
def _axes(mixture: Modes) -> tuple[Tensor, ...]:
    """Log weights [K], means [K, d], variances [K, d] along the principal axes, these axes [K, d, d], classes [K]."""
    weights, means, covs = mixture.parameters()
    variances, axes = torch.linalg.eigh(covs)
    return weights.log(), means, variances, axes, mixture.class_of_mode()


def _denoise(mixture: tuple[Tensor, ...], labels: Tensor | None, x: Tensor, sigma: Tensor) -> Tensor:
    count_call(len(x))
    log_weights, means, variances, axes, classes = (p.to(x.device) for p in mixture)
    noisy = variances + torch.as_tensor(sigma, device=x.device).double().square().reshape(-1, 1, 1)
    along = torch.einsum("bkd,kde->bke", x.double().flatten(1)[:, None] - means, axes)
    logits = log_weights - (along.square() / noisy + noisy.log()).sum(-1) / 2
    if labels is not None:
        logits = logits.masked_fill(labels.to(x.device)[:, None] != classes, -torch.inf)
    modes = means + torch.einsum("bke,kde->bkd", along * (variances / noisy), axes)
    return torch.einsum("bk,bkd->bd", logits.softmax(1), modes).reshape(x.shape).to(x.dtype)


class GaussianMixture(Modes):
    r"""A mixture whose modes are given one by one; each is a class of its own.

    The fields are ``weights`` [K], positive with sum 1; ``means`` [K][d]; and ``covs`` [K][d][d], symmetric and
    positive definite. The default is one-dimensional with two modes, which lie within [-1, 1] up to five standard
    deviations. It is a mixin for components: ``class Mixture(GaussianMixture, Data, name="mixture")``.
    """

    weights: tuple[Positive, ...] = (0.4, 0.6)
    means: tuple[Vector, ...] = ((-0.5,), (0.5,))
    covs: tuple[tuple[Vector, ...], ...] = (((0.01,),), ((0.01,),))

    @property
    def dim(self) -> int:
        """The number of dimensions d."""
        return len(self.means[0])

    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights [K], means [K, d] and covariances [K, d, d] in float64 on the CPU."""
        weights, means, covs = (torch.tensor(p, dtype=torch.float64) for p in (self.weights, self.means, self.covs))
        return weights, means, covs

    @model_validator(mode="after")
    def _is_a_mixture(self) -> Self:
        if problem := self._problem():
            raise PydanticCustomError("not_a_mixture", "{text}", {"text": problem})
        return self

    def _problem(self) -> str:
        k, total = len(self.weights), math.fsum(self.weights)
        if not len(self.means) == len(self.covs) == k:
            return f"{k} weights need {k} means and {k} covs, not {len(self.means)} and {len(self.covs)}"
        if not math.isclose(total, 1, abs_tol=1e-6):
            return f"weights must sum to 1, not {total:.6g}"
        return next(filter(None, map(self._problem_of, range(k))), "")

    def _problem_of(self, k: int) -> str:
        d, cov = self.dim, self.covs[k]
        if d == 0:
            return "means[0] is empty"
        if len(self.means[k]) != d:
            return f"means[{k}] has {len(self.means[k])} numbers, means[0] has {d}"
        if len(cov) != d or any(len(row) != d for row in cov):
            return f"covs[{k}] must be {d} x {d}, a list of {d} rows, because means[0] has {d} numbers"
        sigma = torch.tensor(cov, dtype=torch.float64)
        if not torch.allclose(sigma, sigma.T, rtol=1e-9, atol=0):
            return f"covs[{k}] is not symmetric"
        if torch.linalg.cholesky_ex(sigma).info.item():
            return f"covs[{k}] is not positive definite"
        return ""
