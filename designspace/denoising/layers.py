"""Layers of the U-Nets of Karras et al. (2022, 2024): resampling, convolutions, attention and residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from designspace.denoising.unets import Place, groups

TINY = 1e-30
"""Added to a square before its root is taken, which otherwise has no derivative at 0."""


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
        return _doubled(x) if up else _halved(x)
    channels, padding = x.shape[1], (kernel.shape[-1] - 1) // 2 if padding is None else padding
    each = kernel.to(x.dtype).expand(channels, -1, -1, -1)
    if up:
        return functional.conv_transpose2d(x, 4 * each, stride=2, padding=padding, groups=channels)
    return functional.conv2d(x, each, stride=2, padding=padding, groups=channels)


def _doubled(x: Tensor) -> Tensor:
    """Four pixels for each; in the usual memory format, on a CPU in a third of the time of ``interpolate``."""
    if not x.is_contiguous():
        return functional.interpolate(x, scale_factor=2.0)
    batch, channels, height, width = x.shape
    copies = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
    return copies.reshape(batch, channels, 2 * height, 2 * width)


def _halved(x: Tensor) -> Tensor:
    """The means of 2 x 2 pixels, on a CPU in a fifth of the time of ``avg_pool2d``."""
    rows = x[:, :, ::2] + x[:, :, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]) * 0.25


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
    q, k, v = parts.permute(3, 0, 1, 4, 2).contiguous()  # as the fused kernel of CPUs needs them
    found = functional.scaled_dot_product_attention(q, k, v)
    return found.transpose(2, 3).reshape(batch, channels // 3, *size)


def unit_rms(x: Tensor, dim: tuple[int, ...]) -> Tensor:
    r""":math:`x / (10^{-4} + |x| / \sqrt n)`, with the norm over ``dim``, which has n entries."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    squares = wide.square().mean(dim, keepdim=True)  # half the time of torch.linalg.vector_norm on a CPU
    return x / ((squares + TINY).sqrt() + 1e-4).to(x.dtype)


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
        self.affine = nn.Linear(style.embedding, cout * (1 + style.adaptive))
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
