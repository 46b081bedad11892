"""A short training, and the loss at each noise level of what it and simpler denoisers give."""

from __future__ import annotations

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
from designspace.survey.linear import linear, value_by_value
from designspace.training.batches import Batches
from designspace.training.loop import Seen, Trainer
from designspace.training.loss import errors
from designspace.training.recipe import Recipe
from designspace.training.state import State

LEVELS = 33
HELD_OUT, SHARE = 256, 10
"""At most so many images, and one in so many, are kept from training and measured on."""
CHUNK = 64
LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Curves:
    """Losses with EDM's weight on images that were kept out, float64 ``[LEVELS]``: 1 where nothing is known."""

    sigma: Tensor
    per_value: Tensor
    """Of the best denoiser of each value by itself, by its mean and variance."""
    linear: Tensor | None
    """Of the best linear denoiser; ``None`` for large images."""
    network: Tensor
    """After the short training."""

    @property
    def columns(self) -> dict[str, Tensor | None]:
        """All of it by name."""
        return {
            "sigma": self.sigma,
            "per_value": self.per_value,
            "linear": self.linear,
            "network": self.network,
            "reduction": self.reduction,
        }

    @property
    def reduction(self) -> Tensor:
        """What values know of each other: the share of the loss ``per_value`` that the better of the others removes."""
        best = self.network if self.linear is None else torch.minimum(self.network, self.linear)
        return (1 - best / self.per_value).clamp_min(0)


def curves(
    data: Images, network: Network, images: int, sigma_min: float, sigma_max: float, seed: int, seen: Seen
) -> Curves:
    """Train ``network`` on ``images`` images at levels even in ln sigma, and measure on those kept out.

    Raises ``DivergedError``, and ``DataError`` if the network is not made for such images.
    """
    order = torch.from_numpy(generator("survey", seed).permutation(len(data)))
    split = min(HELD_OUT, len(data) // SHARE)
    held, rest = data.pixels[order[:split]], replace(data, pixels=data.pixels[order[split:]], labels=None)
    y = held.float() / 127.5 - 1
    range_ = {"name": "uniform_log", "sigma_min": sigma_min, "sigma_max": sigma_max}
    design = Design.preset("edm", sigma_data=data.std, noise_distribution=range_)
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
    """The mean loss of D at each level on images ``y`` ``[B, ...]`` with the unit Gaussian ``noise`` of their shape.

    One noise for every D and every level makes their ratios more certain than each is.
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
    recipe = Recipe(seed=seed, learning_rate=LEARNING_RATE, warm_up=images / 10, ema_half_life=max(images / 20, 1))
    device = torch.device("cpu")
    state = State(network.build(data.shape), recipe, device)
    if images:
        batches = Batches.of(data, design, None, seed, recipe.batch_size, labelled=False, device=device)
        Trainer(state, design, batches).run(images, seen, lambda: None)
    return Preconditioned(state.average, design)
