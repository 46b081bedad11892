"""A mixture of Gaussians along the branches of two trees, one per class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.mixture import Modes

LENGTH, WIDTH = 0.33, 0.02
"""The length of the first branch, and the standard deviation across it."""
THINNER = 0.72
"""The width of a branch relative to that of the branch it grows from."""
FORK = ((52.0, 0.644), (-34.0, 0.756))
"""The angle in degrees and the relative length of the two branches that grow from one; each level mirrors them."""
PARTS, OVERLAP = 3, 0.6
"""The modes along each branch, and their standard deviations along it in units of their distance."""


class Tree(Modes):
    r"""Two trees in the plane that grow from the origin in opposite directions; each is a class.

    Every branch has two thinner and shorter ones at its end, up to ``depth`` levels. All levels have the same
    probability, so the many outer branches are rare, narrow and close to each other.
    """

    depth: Annotated[int, Field(ge=1, le=9)] = 7

    @property
    def dim(self) -> int:
        return 2

    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        weights, means, covs = _modes(self.depth)
        return weights / 2, means, covs

    def class_of_mode(self) -> Tensor:
        modes = len(_modes(self.depth)[0])
        return (torch.arange(modes) >= modes // 2).long()


class _Branch(NamedTuple):
    level: int
    start: complex
    way: complex
    """The vector from the start to the end of the branch."""
    width: float

    def grown(self) -> list[_Branch]:
        """The two branches at its end."""
        side, end = (-1) ** self.level, self.start + self.way
        turns = (share * complex(math.cos(turn), math.sin(turn)) for turn, share in _turns(side))
        return [_Branch(self.level + 1, end, self.way * turn, self.width * THINNER) for turn in turns]


def _turns(side: int) -> list[tuple[float, float]]:
    return [(side * math.radians(degrees), share) for degrees, share in FORK]


def _branches(depth: int, direction: complex) -> Iterator[_Branch]:
    """The branches of a tree, level by level."""
    level = [_Branch(0, 0j, LENGTH * direction, WIDTH)]
    for _ in range(depth):
        yield from level
        level = [new for branch in level for new in branch.grown()]


@cache
def _modes(depth: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, which sum to 2, means and covariances of the modes of both trees, one after the other."""
    diagonal = complex(math.sqrt(0.5), math.sqrt(0.5))
    branches = [branch for direction in (diagonal, -diagonal) for branch in _branches(depth, direction)]
    places = [(branch, (part + 0.5) / PARTS) for branch in branches for part in range(PARTS)]
    along = torch.tensor([[b.way.real, b.way.imag] for b, _ in places], dtype=torch.float64)
    starts = torch.tensor([[b.start.real, b.start.imag] for b, _ in places], dtype=torch.float64)
    shares = torch.tensor([[share] for _, share in places], dtype=torch.float64)
    across = along.flip(1) * torch.tensor([-1.0, 1.0], dtype=torch.float64) / along.norm(dim=1, keepdim=True)
    across *= torch.tensor([[b.width] for b, _ in places], dtype=torch.float64)
    axes = torch.stack([OVERLAP / PARTS * along, across], 2)
    weights = torch.tensor([0.5**b.level / (depth * PARTS) for b, _ in places], dtype=torch.float64)
    return weights, starts + shares * along, axes @ axes.mT
