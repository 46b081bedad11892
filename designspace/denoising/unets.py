"""Parts that the U-Nets of Karras et al. (2022, 2023) share: the plan of their levels, resampling, attention, blocks.

Modules and parameters have the names that they have in NVIDIA's checkpoints, such as ``enc.16x16_block0.conv0.weight``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from designspace.denoising.networks import LONGEST
from designspace.errors import DataError

Channels = Annotated[int, Field(ge=4, le=65_536, multiple_of=4)]
Multiple = Annotated[int, Field(ge=1, le=1_024)]
Multiples = Annotated[tuple[Multiple, ...], Field(min_length=1, max_length=16)]
Blocks = Annotated[int, Field(ge=1, le=1_000)]
Resolutions = tuple[Annotated[int, Field(ge=1)], ...]
Rate = Annotated[float, Field(ge=0, lt=1)]
Taps = Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=2, max_length=64)]


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
    """Whether it is the last of its level."""

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
            places.append(Place(at[0], f"block{k}", *at[1:], now, width, k == blocks - 1))
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
    for channels in {width for place in places if place.part != "conv" for width in (place.cin, place.cout)}:
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
    return place.cout // per_head


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


def low_pass(taps: Sequence[float]) -> Tensor:
    """The kernel ``[1, 1, k, k]`` of a filter with ``taps`` in both directions, whose sum is 1."""
    row = torch.tensor(taps, dtype=torch.float32)
    return (row.outer(row) / row.sum() ** 2)[None, None]


def is_box(taps: Sequence[float]) -> bool:
    """Whether the filter is the mean of 2 x 2 pixels, which needs no convolution."""
    return len(taps) == 2 and taps[0] == taps[1]


def resampled(x: Tensor, kernel: Tensor | None, *, up: bool, padding: int | None = None) -> Tensor:
    """Twice (``up``) or half the size, by convolving each channel with ``kernel`` ``[1, 1, k, k]``.

    Without a kernel, each pixel becomes four, or the mean of four pixels becomes one. ``padding`` is that of the
    convolution, by default the one that leaves images in their place.
    """
    if kernel is None:
        return functional.interpolate(x, scale_factor=2.0) if up else functional.avg_pool2d(x, 2)
    channels, padding = x.shape[1], (kernel.shape[-1] - 1) // 2 if padding is None else padding
    each = kernel.to(x.dtype).expand(channels, -1, -1, -1)
    if up:
        return functional.conv_transpose2d(x, 4 * each, stride=2, padding=padding, groups=channels)
    return functional.conv2d(x, each, stride=2, padding=padding, groups=channels)


class Convolution(nn.Module):
    """A convolution with kernels of ``size`` x ``size`` (0: none), and a change of the size of images before it.

    With ``after``, images are halved after the convolution, and both together pad them only once.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        cin: int,
        cout: int,
        size: int,
        resample: Literal["up", "down", "after"] | None = None,
        taps: Sequence[float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.register_parameter("weight", nn.Parameter(torch.empty(cout, cin, size, size)) if size else None)
        self.register_parameter("bias", nn.Parameter(torch.empty(cout)) if size else None)
        self.register_buffer("resample_filter", low_pass(taps) if resample else None)
        self.resample, self.box, self.padding = resample, is_box(taps), size // 2

    def forward(self, x: Tensor) -> Tensor:
        kernel: Tensor | None = None if self.box else self.resample_filter  # type: ignore[assignment]
        if self.resample == "after":
            border = (kernel.shape[-1] - 1) // 2 if kernel is not None else 0
            x = functional.conv2d(x, self.weight, self.bias, padding=self.padding + border)  # type: ignore[arg-type]
            return resampled(x, kernel, up=False, padding=0)
        if self.resample:
            x = resampled(x, kernel, up=self.resample == "up")
        return x if self.weight is None else functional.conv2d(x, self.weight, self.bias, padding=self.padding)


def attention(qkv: Tensor, heads: int, *, unit: bool = False) -> Tensor:
    """Self-attention between pixels, ``[B, 3 C, H, W]`` to ``[B, C, H, W]``.

    The channels are ordered by head, channel of the head, and then q, k, v. With ``unit``, the vectors of q, k and v
    are scaled to a root mean square of 1 first.
    """
    batch, channels, *size = qkv.shape
    parts = qkv.reshape(batch, heads, channels // (3 * heads), 3, -1)
    if unit:
        parts = unit_rms(parts, (2,))
    q, k, v = (part.transpose(2, 3) for part in parts.unbind(3))
    found = functional.scaled_dot_product_attention(q, k, v)
    return found.transpose(2, 3).reshape(batch, channels // 3, *size)


def unit_rms(x: Tensor, dim: tuple[int, ...]) -> Tensor:
    r""":math:`x / (10^{-4} + |x| / \sqrt n)`, with the norm over ``dim``, which has n entries."""
    n = math.prod(x.shape[k] for k in dim)
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
    return x / (norm / math.sqrt(n) + 1e-4).to(x.dtype)


@dataclass(frozen=True)
class Style:
    """In what the blocks of the two networks of Karras et al. (2022) differ."""

    embedding: int
    """The length of the embedding of noise level and labels."""
    adaptive: bool
    """Whether the embedding scales and shifts what the second normalisation gives, or is added before it."""
    scale: float
    """The factor of each sum with a skip connection."""
    eps: float
    project: bool
    """Whether the skip connection has weights where only the size of images changes."""
    dropout: float
    taps: tuple[float, ...] = (1.0, 1.0)

    def norm(self, channels: int) -> nn.GroupNorm:
        """The normalisation of ``channels``."""
        return nn.GroupNorm(groups(channels), channels, eps=self.eps)


class Block(nn.Module):
    """A residual block with an embedding ``[B, style.embedding]``, and self-attention if it has heads."""

    def __init__(self, place: Place, style: Style, heads: int = 0) -> None:
        super().__init__()
        resample: Literal["up", "down"] | None = place.part if place.part in ("up", "down") else None  # type: ignore[assignment]
        cin, cout = place.cin, place.cout
        self.style, self.heads = style, heads
        self.norm0 = style.norm(cin)
        self.conv0 = Convolution(cin, cout, 3, resample, style.taps)
        self.affine = skip_init(nn.Linear, style.embedding, cout * (1 + style.adaptive))
        self.norm1 = style.norm(cout)
        self.conv1 = Convolution(cout, cout, 3)
        size = int(cin != cout or (resample is not None and style.project))
        self.skip = Convolution(cin, cout, size, resample, style.taps) if size or resample else None
        if heads:
            self.norm2 = style.norm(cout)
            self.qkv, self.proj = Convolution(cout, 3 * cout, 1), Convolution(cout, cout, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        y = self.conv0(functional.silu(self.norm0(x)))
        told = self.affine(embedding)[:, :, None, None]
        if self.style.adaptive:
            scale, shift = told.chunk(2, 1)
            y = functional.silu(torch.addcmul(shift, self.norm1(y), scale + 1))
        else:
            y = functional.silu(self.norm1(y + told))
        y = self.conv1(functional.dropout(y, self.style.dropout, self.training))
        x = (y + (self.skip(x) if self.skip else x)) * self.style.scale
        if self.heads:
            x = (self.proj(attention(self.qkv(self.norm2(x)), self.heads)) + x) * self.style.scale
        return x
