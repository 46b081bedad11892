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
    """Random numbers for a batch, on its device."""

    size: int
    p: float
    generator: torch.Generator

    def normal(self, std: float) -> Tensor:
        """``N(0, std^2)`` with probability p, else 0, float32 ``[B]``."""
        drawn = torch.empty(self.size, device=self.generator.device).normal_(0, std, generator=self.generator)
        return self.happens() * drawn

    def angle(self) -> Tensor:
        """Uniform between -pi and pi, float32 ``[B]``."""
        return (2 * self._uniform() - 1) * math.pi

    def happens(self, p: float | None = None) -> Tensor:
        """1 with probability p, else 0, float32 ``[B]``."""
        return (self._uniform() < (self.p if p is None else p)).float()

    def _uniform(self) -> Tensor:
        return torch.empty(self.size, device=self.generator.device).uniform_(generator=self.generator)


def geometric(draw: Draw) -> tuple[Tensor, Tensor]:
    r"""Flips, scaling, rotation, anisotropic scaling and translation: matrices ``[B, 3, 3]`` and labels ``[B, 9]``.

    With a standard normal N, scale factors are :math:`2^{0.2 N}` and translations :math:`0.125 N` of the image size;
    rotations are uniform. The labels are the flips, the binary logarithms of the scale factors, cos - 1 and sin of the
    angle, and the translations: all 0 for an unchanged image.
    """
    flip_x, flip_y = (draw.happens(draw.p / 2) for _ in range(2))
    scale, turn, stretch, along = draw.normal(0.2), draw.happens() * draw.angle(), draw.normal(0.2), draw.angle()
    x, y = draw.normal(0.125), draw.normal(0.125)
    matrix = _scaled(1 - 2 * flip_x, 1 - 2 * flip_y) @ _scaled(2**scale, 2**scale) @ _turned(turn)
    matrix = matrix @ _turned(-along) @ _scaled(2**stretch, 2**-stretch) @ _turned(along) @ _moved(2 * x, 2 * y)
    told = [flip_x, flip_y, scale, turn.cos() - 1, turn.sin(), stretch * (2 * along).cos(), stretch * (2 * along).sin()]
    return matrix, torch.stack([*told, x, y], 1)


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

    With a standard normal N, :math:`0.2 N` is added to the brightness, the contrast is multiplied by
    :math:`2^{0.5 N}` and the saturation by :math:`2^N`; hues are rotated about the grey axis by a uniform angle.
    """
    brightness, contrast = draw.normal(0.2), draw.normal(0.5)
    turn, saturation = draw.happens() * draw.angle(), draw.normal(1.0)
    found = images * _over(2**contrast, images) + _over(brightness, images)
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
