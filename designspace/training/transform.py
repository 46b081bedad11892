"""Random geometric and colour transformations of images, with labels that describe them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from designspace.denoising.device import sent


@dataclass
class Draw:
    """Random numbers for a batch, float32 ``[B]``, on the device of the generator."""

    size: int
    p: float
    generator: torch.Generator

    def happens(self, p: float | None = None) -> Tensor:
        """1 with probability ``p``, by default that of the batch, and else 0."""
        return (self._empty().uniform_(generator=self.generator) < (self.p if p is None else p)).float()

    def normal(self) -> Tensor:
        """Standard normal."""
        return self._empty().normal_(generator=self.generator)

    def angle(self) -> Tensor:
        """Uniform between -pi and pi."""
        return self._empty().uniform_(-math.pi, math.pi, generator=self.generator)

    def _empty(self) -> Tensor:
        return torch.empty(self.size, device=self.generator.device)


def flip(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Mirror ``images`` ``[B, C, H, W]`` left to right where ``x`` ``[B]`` is 1, and upside down where ``y`` is."""
    images = torch.where(x.bool()[:, None, None, None], images.flip(3), images)
    return torch.where(y.bool()[:, None, None, None], images.flip(2), images)


def geometric(draw: Draw) -> tuple[Tensor, Tensor]:
    r"""Scaling, then rotation, anisotropic scaling and translation: matrices ``[B, 3, 3]`` and labels ``[B, 7]``.

    With standard normal a, w, x and y and uniform angles :math:`\phi` and r, the image is scaled by
    :math:`2^{0.2 a}`, rotated by :math:`-\phi`, stretched by :math:`2^{0.2 w}` in direction r and by
    :math:`2^{-0.2 w}` across it, and shifted by x / 8 and y / 8 of its longer side. Each of the four happens with the
    probability of ``draw``; r is 0 for half of the images.

    The labels are :math:`a, \cos\phi - 1, \sin\phi, w \cos r, w \sin r, x, y`, all 0 for an unchanged image. They
    determine the transformation up to the sign of w, since :math:`(-w, r + \pi)` has the labels of :math:`(w, r)`.
    """
    scale, turn = draw.happens() * draw.normal(), draw.happens() * draw.angle()
    stretch, along = draw.happens() * draw.normal(), draw.happens(0.5) * draw.angle()
    shifts = draw.happens()
    x, y = shifts * draw.normal(), shifts * draw.normal()
    grown, longer = 2 ** (0.2 * scale), 2 ** (0.2 * stretch)
    matrix = _turned(-turn) @ _scaled(grown, grown)
    matrix = _turned(-along) @ _scaled(longer, 1 / longer) @ _turned(along) @ matrix
    matrix = _moved(x / 4, y / 4) @ matrix  # the longer side has length 2
    return matrix, torch.stack(
        [scale, turn.cos() - 1, turn.sin(), stretch * along.cos(), stretch * along.sin(), x, y], 1
    )


def warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Transform ``images`` ``[B, C, H, W]`` by ``matrix`` ``[B, 3, 3]``, with reflection at the borders.

    The matrix acts on pixel coordinates in which the longer side ranges from -1 to 1, so that rotations do not shear.
    """
    height, width = images.shape[2:]
    sides = torch.tensor([width, height, max(width, height)], dtype=torch.float32) / max(width, height)
    ratios = sent(sides / sides[:, None], images.device)  # between coordinates in units of either side
    inverse = torch.linalg.inv_ex(matrix).inverse * ratios  # unlike inv, inv_ex does not synchronise with the device
    grid = affine_grid(inverse[:, :2], list(images.shape), align_corners=False)
    return grid_sample(images, grid, "bicubic", "reflection", align_corners=False)


def colour(images: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    r"""Brightness and contrast, and for colour images hue and saturation: images and labels ``[B, 5]``.

    With standard normal b, c and s and a uniform angle :math:`\phi`, 0.2 b is added to the values, which are then
    multiplied by :math:`2^{0.5 c}`. Hues are rotated about the grey axis by :math:`\phi`, and the distance from that
    axis is multiplied by :math:`2^s`. The labels are :math:`b, c, \cos\phi - 1, \sin\phi, s`.
    """
    brightness, contrast = draw.happens() * draw.normal(), draw.happens() * draw.normal()
    turn, saturation = draw.happens() * draw.angle(), draw.happens() * draw.normal()
    found = (images + _over(0.2 * brightness, images)) * _over(2 ** (0.5 * contrast), images)
    if images.shape[1] == 3:
        grey = found.mean(1, keepdim=True)
        found = grey + torch.einsum("bij,bjhw->bihw", _hue(turn), found - grey) * _over(2**saturation, images)
        return found, torch.stack([brightness, contrast, turn.cos() - 1, turn.sin(), saturation], 1)
    none = torch.zeros_like(turn)
    return found, torch.stack([brightness, contrast, none, none, none], 1)


def _hue(turn: Tensor) -> Tensor:
    """Rotations about (1, 1, 1) / sqrt(3) by Rodrigues' formula, ``[B, 3, 3]``."""
    eye, axis = torch.eye(3, device=turn.device), torch.full((3, 3), 1 / 3, device=turn.device)
    cross = (eye.roll(-1, 1) - eye.roll(1, 1)) / math.sqrt(3)
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    return cos * eye + sin * cross + (1 - cos) * axis


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def _turned(angle: Tensor) -> Tensor:
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1).reshape(-1, 3, 3)


def _moved(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack([one, zero, x, zero, one, y, zero, zero, one], 1).reshape(-1, 3, 3)


def _over(value: Tensor, images: Tensor) -> Tensor:
    return value.to(images).reshape(-1, 1, 1, 1)
