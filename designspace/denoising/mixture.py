"""The parameters of a mixture of Gaussians, shared by the data set and its closed-form denoiser."""

from __future__ import annotations

import math
from typing import Self

import torch
from pydantic import model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.component import Finite, Positive, Spec

Vector = tuple[Finite, ...]


class GaussianMixture(Spec):
    r""":math:`p(x) = \sum_k w_k\, \mathcal N(x; \mu_k, \Sigma_k)` in d dimensions.

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
