"""How many steps a number of evaluations affords, found by counting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from designspace.table1 import CNoise


class Zero:
    """D = 0 and, with ``c_noise``, only at the noise levels that a network with this row knows."""

    def __init__(self, c_noise: CNoise | None) -> None:
        if c_noise:
            self.sigma_min, self.sigma_max = c_noise.limits()
            self.round_sigma = c_noise.round_sigma

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return torch.zeros_like(x)


def most_within(count: Callable[[int], float], nfe: int, who: str) -> int:
    """The largest number of steps of which ``count`` gives at most ``nfe``.

    Raises ``ValueError``, about ``who``, if there is none.
    """
    low = _fewest(count, nfe + 1)
    if (least := count(low)) > nfe:
        raise ValueError(f"{who} needs {least} evaluations at least, not {nfe}")
    high = nfe + 2  # every step costs an evaluation, but the last level may cost none
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _affords(count, middle, nfe) else (low, middle)
    return low


def _fewest(count: Callable[[int], float], most: int) -> int:
    """The fewest steps that the design can take. Raises the ``ValueError`` of two steps if it can take none."""
    for num_steps in range(2, most + 1):
        with suppress(ValueError):
            count(num_steps)
            return num_steps
    count(2)
    return 2


def _affords(count: Callable[[int], float], num_steps: int, nfe: int) -> bool:
    try:
        return count(num_steps) <= nfe
    except ValueError:  # more steps than the grid has levels
        return False
