"""What multistep solvers share: a history of evaluations and the order that it allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor

from designspace.flow import Flow


class Past(NamedTuple):
    """An evaluation that is kept: the noise level and the denoised sample, or what was made of it."""

    sigma: float
    value: Tensor


History = tuple[Past, ...]
"""The newest first."""


def remember(memory: History | None, sigma: float, value: Tensor, order: int) -> History:
    """The last ``order`` evaluations, the newest first; a repeated level starts anew, it carries no slope."""
    kept = memory or ()
    if kept and kept[0].sigma == sigma:
        kept = ()
    return (Past(sigma, value), *kept)[:order]


def allowed_order(flow: Flow, i: int, order: int, lower_order_final: bool) -> int:
    """``order``, or less at the start where the history is short, and at the end on request."""
    return min(order, i + 1, flow.steps - i if lower_order_final else order)


def levels(history: History) -> list[float]:
    """The noise levels of the history."""
    return [past.sigma for past in history]


def weighted(weights: Iterable[float], history: History) -> Iterator[tuple[float, Tensor]]:
    """The terms of a weighted sum over the history."""
    return ((weight, past.value) for weight, past in zip(weights, history, strict=True))
