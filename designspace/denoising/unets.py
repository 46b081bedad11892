"""The plan of the U-Nets of Karras et al. (2022, 2024): their levels, the domains of their fields, and embeddings.

Modules and parameters have the names that they have in NVIDIA's checkpoints, such as ``enc.16x16_block0.conv0.weight``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from designspace.denoising.networks import LONGEST
from designspace.errors import DataError


def _fits_images(taps: tuple[float, ...]) -> tuple[float, ...]:
    if len(taps) % 2 or not sum(taps):
        raise ValueError("a filter that halves and doubles images has an even number of weights, whose sum is not 0")
    return taps


Channels = Annotated[int, Field(ge=4, le=65_536, multiple_of=4)]
Multiple = Annotated[int, Field(ge=1, le=1_024)]
Multiples = Annotated[tuple[Multiple, ...], Field(min_length=1, max_length=16)]
Blocks = Annotated[int, Field(ge=1, le=1_000)]
Resolutions = tuple[Annotated[int, Field(ge=1)], ...]
Rate = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
Taps = Annotated[tuple[Weight, ...], Field(min_length=2, max_length=64), AfterValidator(_fits_images)]
"""The weights of a filter for changes of the size of images."""


class Place(NamedTuple):
    """A layer or block of a U-Net: where it is, and how many channels it takes and gives."""

    size: str
    """The size of its output, such as 16x16."""
    part: str
    """Its name among the parts of this size: ``conv``, ``down``, ``in0``, ``in1``, ``up``, ``block0``, ``block1``..."""
    level: int
    side: int
    """The longer side of its output in pixels."""
    cin: int
    cout: int
    last: bool = False
    """Whether it is the last block of a level of the decoder."""

    @property
    def name(self) -> str:
        """Its name in NVIDIA's checkpoints."""
        return f"{self.size}_{self.part}"

    @property
    def is_block(self) -> bool:
        """Whether it is one of the blocks of a level, which have attention at some sides."""
        return self.part.startswith("block")


def encoder(shape: Sequence[int], first: int, widths: Sequence[int], blocks: int) -> list[Place]:
    """The way down: at each level a convolution or down-sampling, then ``blocks`` blocks."""
    places, now = list[Place](), first
    for level, width in enumerate(widths):
        at = _at(shape, level)
        places.append(Place(at[0], "down" if level else "conv", *at[1:], now if level else shape[0], now))
        for k in range(blocks):
            places.append(Place(at[0], f"block{k}", *at[1:], now, width))
            now = width
    return places


def decoder(shape: Sequence[int], first: int, widths: Sequence[int], blocks: int) -> list[Place]:
    """The way up: at each level two blocks or up-sampling, then ``blocks`` + 1 blocks, which take skips as well."""
    skips = [place.cout for place in encoder(shape, first, widths, blocks)]
    places, now = list[Place](), widths[-1]
    for level, width in reversed(list(enumerate(widths))):
        at = _at(shape, level)
        begin = ("in0", "in1") if level == len(widths) - 1 else ("up",)
        places += [Place(at[0], part, *at[1:], now, now) for part in begin]
        for k in range(blocks + 1):
            places.append(Place(at[0], f"block{k}", *at[1:], now + skips.pop(), width, k == blocks))
            now = width
    return places


def _at(shape: Sequence[int], level: int) -> tuple[str, int, int]:
    sides = [side >> level for side in shape[1:]]
    return "x".join(map(str, sides)), level, max(sides)


def require_size(network: str, shape: Sequence[int], levels: int) -> None:
    """Raise ``DataError`` if images of this shape cannot be halved ``levels`` - 1 times."""
    step = 2 ** (levels - 1)
    if len(shape) != 3 or any(side % step for side in shape[1:]):
        size, takes = "x".join(map(str, shape)), f"H and W multiples of {step}"
        raise DataError(f"network {network}: samples of {size}; with {levels} levels it takes C x H x W, {takes}")


def require_groups(places: Sequence[Place]) -> None:
    """Raise ``ValueError`` if the channels of a block cannot be normalised in groups of equal size."""
    for channels in sorted({width for place in places if place.part != "conv" for width in (place.cin, place.cout)}):
        if channels % groups(channels):
            text = f"a block has {channels} channels, which do not divide into {groups(channels)} groups"
            raise ValueError(f"{text}: let model_channels be a multiple of 32")


def groups(channels: int) -> int:
    """The number of groups that are normalised together."""
    return min(32, channels // 4)


def heads_of(place: Place, sides: Sequence[int], per_head: int) -> int:
    """The heads of the attention in a block of a network with ``per_head`` channels per head; 0 without attention.

    Blocks at the given ``sides`` and the first one at the bottom have attention if they have enough channels.
    """
    if not (place.part == "in0" or (place.is_block and place.side in sides)):
        return 0
    heads = place.cout // per_head
    if heads and place.cout % heads:
        raise DataError(f"a block has {place.cout} channels, which do not divide into {heads} heads")
    return heads


def sinusoids(c_noise: Tensor, n: int, last: int) -> Tensor:
    r"""The angles :math:`c_\mathrm{noise}\, 10^{-4 k / \mathrm{last}}` for k below n / 2, ``[B, n / 2]``."""
    frequency = LONGEST ** -(torch.arange(n // 2, dtype=c_noise.dtype, device=c_noise.device) / last)
    return c_noise[:, None] * frequency


def one_hot(labels: Tensor | None, classes: int, like: Tensor, dropout: float = 0.0) -> Tensor:
    """Classes ``[B]`` as vectors ``[B, classes]`` in the dtype of ``like``; "no class" (-1 or None) is zero.

    Labels are left out with probability ``dropout``.
    """
    if labels is None:
        return like.new_zeros(len(like), classes)
    vectors = (labels[:, None] == torch.arange(classes, device=labels.device)).to(like.dtype)
    return vectors * (torch.rand(len(like), 1, device=like.device) >= dropout) if dropout else vectors
