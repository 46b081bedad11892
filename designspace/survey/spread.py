r"""How much noise drowns a data set.

The probability flow from sigma_max down maps distributions one to one, so the Kullback-Leibler divergence that pure
noise has from the noisy data at sigma_max is that of the samples from the data, however well the rest is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.sampling.noise import generator

SOME, FAR = 2000, 100
"""Images drawn for the covariance; and those from which the largest distance is looked for."""
PART = 2**22
"""Values that are float64 at once."""


@dataclass(frozen=True)
class Spread:
    """Lengths in the units of images in [-1, 1], of all values of an image together."""

    distance: float
    """Between the two images farthest apart that were found."""
    mean_norm: float
    """:math:`|\\mu|` of the mean image."""
    covariance_norm: float
    """The Frobenius norm :math:`|C|` of the covariance."""

    @classmethod
    def of(cls, data: Images) -> Spread:
        """Measure, in time linear in the number of images."""
        pixels = data.pixels.flatten(1)
        mean = torch.stack([_double(part).sum(0) for part in _parts(pixels)]).sum(0) / len(pixels)
        chosen = torch.from_numpy(generator("spread").permutation(len(pixels))[:SOME])
        gaps = _double(pixels[chosen]) - mean
        products = (gaps @ gaps.T).square()
        n = len(chosen)  # an image's product with itself would count the noise of its own values
        squares = float(products.sum() - products.diagonal().sum()) / (n * (n - 1))
        return cls(_farthest(pixels, mean), float(mean.norm()), math.sqrt(squares))

    def divergence(self, sigma: float) -> float:
        r"""In nats, of noise :math:`\mathcal N(0, \sigma^2 I)` and noisy Gaussian data of this mean and covariance.

        .. math:: \frac{|\mu|^2}{2 \sigma^2} + \frac12 \sum_i \left[\frac{\lambda_i}{\sigma^2}
            - \ln\left(1 + \frac{\lambda_i}{\sigma^2}\right)\right]
            \le \frac{|\mu|^2}{2 \sigma^2} + \frac{|C|^2}{4 \sigma^4}

        with the eigenvalues :math:`\lambda_i` of C; the bound, which is given, is tight where sigma drowns the data.
        """
        return self.mean_norm**2 / (2 * sigma**2) + self.covariance_norm**2 / (4 * sigma**4)

    def drowned(self, nats: float) -> float:
        """The level sigma at which ``divergence`` is ``nats``."""
        linear = self.mean_norm**2 / 2
        return math.sqrt((linear + math.sqrt(linear**2 + self.covariance_norm**2 * nats)) / (2 * nats))


def _farthest(pixels: Tensor, mean: Tensor) -> float:
    """From the images farthest from the mean to those farthest from them, and once more."""
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
