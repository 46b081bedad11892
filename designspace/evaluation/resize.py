"""Resizing as in clean-fid. The filter is part of a protocol: Parmar et al. (2022), https://arxiv.org/abs/2104.11222.

PyTorch's own antialiased filter is slower on a CPU than the sparse products used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

BICUBIC = "antialiased bicubic, not rounded, clipped"
"""The description of ``resized`` that protocols record."""
REACH = 2.0
"""Half the width of the bicubic kernel, in pixels of the coarser grid."""
CACHED = 2**20
"""The number of values that are resized at a time on a CPU; larger buffers would exceed its caches."""


def resize(images: Tensor, height: int, width: int) -> Tensor:
    r"""Resize float images ``[..., H, W]`` to ``[..., height, width]`` by Pillow's antialiased bicubic filter.

    .. math:: y = A_H\, x\, A_W^\top

    ``A`` holds the weights of ``bicubic_weights``. Values may overshoot the range of the input. The result agrees with
    ``PIL.Image.resize(..., BICUBIC)`` in mode ``F`` to 1e-4 for values in 0 to 255.
    """
    *lead, h, w = images.shape
    rows = images.reshape(prod(lead) * h, w)
    if h > height:  # shrinking first leaves fewer values to transpose
        rows, h = _product(rows, h, height), height
    rows = _product(rows.T.contiguous(), w, width).T.contiguous()
    return (rows if h == height else _product(rows, h, height)).view(*lead, height, width)


def _product(rows: Tensor, size: int, target: int) -> Tensor:
    """Multiply ``A`` with each of the n matrices ``[size, k]`` stacked in ``rows [n size, k]``: ``[n target, k]``.

    Each row of A has only a few weights other than 0, so sparse sums take a fraction of the time of dense products.
    """
    index, weights = (each.to(rows.device) for each in _taps(size, target))
    first = torch.arange(0, len(rows), size, device=rows.device)[:, None, None]
    weights = weights.to(rows).repeat(len(first), 1)
    return embedding_bag((first + index).flatten(0, 1), rows, per_sample_weights=weights, mode="sum")


@cache
def _taps(size: int, target: int) -> tuple[Tensor, Tensor]:
    """The columns of the weights that are not 0, ``[target, taps]``, and the weights themselves."""
    weights = bicubic_weights(size, target)
    used = (weights != 0).int()
    first, last = used.argmax(1), size - 1 - used.flip(1).argmax(1)
    taps = int((last - first).max()) + 1
    index = first.clamp(max=size - taps)[:, None] + torch.arange(taps)
    return index, weights.gather(1, index)


@cache
def bicubic_weights(size: int, target: int) -> Tensor:
    r"""The weight of each of ``size`` pixels in each of ``target`` pixels, float32 ``[target, size]``; rows sum to one.

    .. math:: A_{ij} \propto k\left(\frac{j + \frac12 - c_i}{r}\right), \quad
        c_i = \left(i + \tfrac12\right) \frac{\mathrm{size}}{\mathrm{target}}, \quad
        r = \max\left(1, \frac{\mathrm{size}}{\mathrm{target}}\right)

    with Keys' kernel k for a = -1/2, over the same pixels as in Pillow. Keys (1981), https://doi.org/10.1109/TASSP.1981.1163711
    """
    scale = size / target
    radius = max(1.0, scale)
    centre = ((torch.arange(target, dtype=torch.float64) + 0.5) * scale)[:, None]
    pixel = torch.arange(size, dtype=torch.float64)
    first, end = ((centre + side * REACH * radius + 0.5).floor() for side in (-1, 1))
    weights = _keys((pixel + 0.5 - centre) / radius).where((pixel >= first) & (pixel < end), 0.0)
    return (weights / weights.sum(1, keepdim=True)).float()


def _keys(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return near.where(x < 1, far.where(x < REACH, 0.0))


def resized(pixels: Tensor, size: int, most: int, device: torch.device) -> Iterator[Tensor]:
    """Resize images ``[B, C, H, W]`` to ``size`` x ``size``, float32 in 0..255, in even batches of at most ``most``."""
    few = max(1, CACHED // prod((pixels.shape[1], *(max(size, side) for side in pixels.shape[2:]))))
    few = few if device.type == "cpu" else most
    for batch in pixels.tensor_split(max(1, -(-len(pixels) // most))):
        parts = [resize(part.to(device).float(), size, size).clamp_(0, 255) for part in torch.split(batch, few)]
        yield parts[0] if len(parts) == 1 else torch.cat(parts)
