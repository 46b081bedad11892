r"""The loss at each noise level of a network after a short training, and of linear denoisers, which need no training.

The mean :math:`\mu` and covariance C of the data give the denoiser

.. math:: D(x; \sigma) = \mu + C (C + \sigma^2 I)^{-1} (x - \mu),

which is optimal for Gaussian data and the best linear denoiser for any data (the Wiener filter). At high noise levels
it is nearly optimal for images: Wang and Vastola (2023), https://arxiv.org/abs/2311.10892.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.denoising.preconditioned import Preconditioned
from designspace.denoising.rows import Network
from designspace.design import Design
from designspace.sampling import rows
from designspace.sampling.levels import geometric
from designspace.sampling.noise import generator
from designspace.training.batches import Batches
from designspace.training.loop import Seen, Trainer
from designspace.training.loss import errors
from designspace.training.recipe import Recipe
from designspace.training.rows import EMA
from designspace.training.state import State

LARGEST = 4096
"""The largest number of values per image for which the eigenvectors of the covariance are computed."""
PART = 1000
"""The number of images whose products are summed in float32; these sums are then added in float64."""
VALUES = 2**22
"""The number of values that are converted to float64 at a time."""
MOST = 2**30
"""The largest size in bytes of the pixels that are used for the curves: the short training sees fewer images."""


@dataclass(frozen=True)
class Wiener:
    """``D(x, sigma)`` for a diagonal C, from the mean and the variance of each coordinate, float64 ``[d]``."""

    mean: Tensor
    variances: Tensor

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise ``x`` ``[B, ...]``; ``sigma`` is positive, ``[B]`` or 0-dim."""
        noise = torch.as_tensor(sigma).double().square().reshape(-1, 1)
        known = self.variances / (self.variances + noise)
        return (self.mean + known * (x.flatten(1) - self.mean)).reshape(x.shape).to(x.dtype)


def value_by_value(data: Images) -> Wiener:
    """The best linear denoiser that treats each value independently of the others."""
    return Wiener(*_moments(data.pixels.flatten(1)))


def linear(data: Images) -> tuple[Wiener, Tensor] | None:
    """The best linear denoiser of the coordinates ``x @ basis``, and the orthonormal basis, float64 ``[d, d]``.

    ``None`` for images of more than ``LARGEST`` values.
    """
    if math.prod(data.shape) > LARGEST:
        return None
    pixels = data.pixels.flatten(1)
    mean, _ = _moments(pixels)
    # With products in float32 and sums in float64, rounding stays far below the lowest noise variance.
    parts = (part.float() / 127.5 - 1 - mean.float() for part in torch.split(pixels, PART))
    variances, basis = torch.linalg.eigh(sum(((gap.T @ gap).double() for gap in parts), start=0 * mean) / len(pixels))
    return Wiener(mean @ basis, variances.clamp_min(0)), basis


def _moments(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each value on the scale [-1, 1], float64 ``[d]``, in the memory of a part of the images."""
    total = squares = pixels.new_zeros(pixels.shape[1], dtype=torch.float64)  # sums of integers, so they are exact
    for part in torch.split(pixels, max(1, VALUES // pixels.shape[1])):
        values = part.double()
        total, squares = total + values.sum(0), squares + values.square_().sum(0)
    mean = total / len(pixels)
    return mean / 127.5 - 1, (squares / len(pixels) - mean.square()).clamp_min(0) / 127.5**2


LEVELS = 33
HELD_OUT, SHARE = 256, 10
"""One in ``SHARE`` images, but at most ``HELD_OUT`` images, are held out from training to measure the loss."""
CHUNK = 64
LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Curves:
    """Losses on held-out images with EDM's weight, float64 ``[LEVELS]``; a network with output 0 has loss 1."""

    sigma: Tensor
    per_value: Tensor
    """The loss of the best linear denoiser that treats each value independently."""
    linear: Tensor | None
    """The loss of the best linear denoiser; ``None`` for large images."""
    network: Tensor
    """The loss of the network after the short training."""

    @property
    def columns(self) -> dict[str, Tensor | None]:
        """All columns by name."""
        return {
            "sigma": self.sigma,
            "per_value": self.per_value,
            "linear": self.linear,
            "network": self.network,
            "reduction": self.reduction,
        }

    @property
    def reduction(self) -> Tensor:
        """The fraction of the loss ``per_value`` that the better of the other two denoisers removes.

        It measures how much information the values of an image carry about each other.
        """
        best = self.network if self.linear is None else torch.minimum(self.network, self.linear)
        return (1 - best / self.per_value).clamp_min(0)


def curves(
    data: Images, network: Network, images: int, sigma_min: float, sigma_max: float, seed: int, seen: Seen
) -> Curves:
    """Train ``network`` on ``images`` images at log-uniform noise levels, and measure the loss on held-out images.

    Of a data set of more than ``MOST`` bytes, which may be larger than the memory, a random part of that size is used.

    Raises ``DivergedError``, and ``DataError`` if the network cannot be used with images of this shape.
    """
    order = torch.from_numpy(generator("survey", seed).permutation(len(data)))
    split = min(HELD_OUT, len(data) // SHARE)
    end = split + max(MOST // math.prod(data.shape), 1)
    held, rest = data.pixels[order[:split]], replace(data, pixels=data.pixels[order[split:end]], labels=None)
    y = held.float() / 127.5 - 1
    range_ = {"name": "uniform_log", "sigma_min": sigma_min, "sigma_max": sigma_max}
    design = Design.preset("edm", sigma_data=data.sigma_data, noise_distribution=range_)
    sigma = geometric(LEVELS, sigma_min, sigma_max)
    noise = torch.from_numpy(generator("survey noise", seed).standard_normal(y.shape, dtype=np.float32))
    D = _trained(rest, network, design, images, seed, seen)
    return Curves(
        sigma,
        losses(value_by_value(rest), design, y, noise, sigma),
        _linear(rest, design, y, noise, sigma),
        losses(D, design, y, noise, sigma),
    )


@torch.no_grad()
def losses(D: rows.D, design: Design, y: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """The mean loss of D at each noise level on images ``y`` ``[B, ...]``, with unit Gaussian ``noise`` of that shape.

    Because every D and level sees the same noise, ratios of losses are more precise than the losses themselves.
    """
    parts = list(zip(torch.split(y, CHUNK), torch.split(noise, CHUNK), strict=True))
    found = ([errors(D, design, part, s.expand(len(part)), n) for part, n in parts] for s in sigma)
    return torch.stack([torch.cat(level).double().mean() for level in found])


def _linear(data: Images, design: Design, y: Tensor, noise: Tensor, sigma: Tensor) -> Tensor | None:
    found = linear(data)
    if found is None:
        return None
    D, basis = found
    y, noise = ((x.flatten(1).double() @ basis).float() for x in (y, noise))
    return losses(D, design, y, noise, sigma)


def _trained(data: Images, network: Network, design: Design, images: int, seed: int, seen: Seen) -> rows.D:
    ema = EMA.model_validate({"name": "half_life", "half_life": max(images / 20, 1)})
    recipe = Recipe(seed=seed, learning_rate=LEARNING_RATE, warm_up=images / 10, ema=ema)
    device = torch.device("cpu")
    state = State(network.build(data.shape), recipe, device, design)
    if images:
        batches = Batches.of(data, design, None, seed, recipe.batch_size, labelled=False, device=device)
        Trainer(state, design, batches).run(images, seen, lambda: None)
    return Preconditioned(state.average, design)
