r"""The noise level at which noisy data become indistinguishable from pure noise.

The probability flow is invertible and therefore preserves Kullback-Leibler divergences. With perfect sampling, the
divergence of the samples from the data thus equals the divergence of pure noise from the noisy data at sigma_max.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.sampling.noise import generator

SOME, FAR = 2000, 100
"""The numbers of images from which the covariance is estimated and from which the largest distance is searched."""
PART = 2**22
"""The number of values that are converted to float64 at a time."""


@dataclass(frozen=True)
class Spread:
    """Euclidean lengths in the space of images with values in [-1, 1]."""

    distance: float
    """The largest distance found between two images."""
    mean_norm: float
    """The norm of the mean image."""
    covariance_norm: float
    """The Frobenius norm of the covariance."""

    @classmethod
    def of(cls, data: Images) -> Spread:
        """Measure ``data``, in time linear in the number of images."""
        pixels = data.pixels.flatten(1)
        mean = sum((_double(part).sum(0) for part in _parts(pixels)), start=torch.zeros(())) / len(pixels)
        chosen = torch.from_numpy(generator("spread").permutation(len(pixels))[:SOME])
        products = _products(pixels[chosen], mean).square()
        n = len(chosen)  # the diagonal, products of an image with itself, would bias the estimate
        squares = float(products.sum() - products.diagonal().sum()) / (n * (n - 1))
        return cls(_farthest(pixels, mean), float(mean.norm()), math.sqrt(squares))

    def divergence(self, sigma: float) -> float:
        r"""An upper bound, in nats, on the divergence of noise from noisy Gaussian data with this mean and covariance.

        .. math:: \frac{|\mu|^2}{2 \sigma^2} + \frac12 \sum_i \left[\frac{\lambda_i}{\sigma^2}
            - \ln\left(1 + \frac{\lambda_i}{\sigma^2}\right)\right]
            \le \frac{|\mu|^2}{2 \sigma^2} + \frac{|C|^2}{4 \sigma^4}

        for noise :math:`\mathcal N(0, \sigma^2 I)`, with the eigenvalues :math:`\lambda_i` of C. The returned bound is
        tight if sigma is much larger than the spread of the data.
        """
        return self.mean_norm**2 / (2 * sigma**2) + self.covariance_norm**2 / (4 * sigma**4)

    def drowned(self, nats: float) -> float:
        """The noise level at which ``divergence`` equals ``nats``."""
        linear = self.mean_norm**2 / 2
        return math.sqrt((linear + math.sqrt(linear**2 + self.covariance_norm**2 * nats)) / (2 * nats))


def _products(pixels: Tensor, mean: Tensor) -> Tensor:
    """The scalar products of the differences of all images from the mean, float64 ``[N, N]``."""
    products = mean.new_zeros(len(pixels), len(pixels))
    width = max(1, PART // len(pixels))
    for part, middle in zip(torch.split(pixels, width, dim=1), torch.split(mean, width), strict=True):
        gaps = _double(part) - middle
        products.addmm_(gaps, gaps.T)
    return products


def _farthest(pixels: Tensor, mean: Tensor) -> float:
    """A lower bound on the largest distance between two images.

    The search starts from the images farthest from the mean, and then from the images farthest from those.
    """
    radii = _squares(pixels, mean[None])[:, 0]
    first = _squares(pixels, _double(pixels[radii.topk(min(FAR, len(pixels))).indices]))
    second = _squares(pixels, _double(pixels[torch.unique(first.argmax(0))]))
    return math.sqrt(max(float(first.max()), float(second.max())))


def _squares(pixels: Tensor, others: Tensor) -> Tensor:
    """Squared distances, float64 ``[N, K]``."""
    own = others.square().sum(1)
    parts = (_double(part) for part in _parts(pixels))
    return torch.cat([part.square().sum(1, keepdim=True) + own - 2 * part @ others.T for part in parts])


def _parts(pixels: Tensor) -> tuple[Tensor, ...]:
    return torch.split(pixels, max(1, PART // pixels.shape[1]))


def _double(pixels: Tensor) -> Tensor:
    return pixels.double() / 127.5 - 1
