"""Assertions whose messages say what was checked, what was expected and what was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from designspace.registry.calling import described
from designspace.registry.isolation import drawn

SIGMAS = torch.logspace(-2, 2, 50, dtype=torch.float64)
"""The noise levels at which rows are checked."""
SEEDS = "a random generator, such as numpy.random.default_rng(), needs a fixed seed"
"""What to do about results that differ although the global generators are in the same state."""


class UnmetError(AssertionError):
    """A requirement that a component does not meet; an ``AssertionError`` of the component itself is not one."""


def require(condition: bool, what: str, expected: object, got: object) -> None:
    """Raise ``UnmetError`` with this message unless ``condition`` is true."""
    if not condition:
        raise UnmetError(f"{what}: expected {_shown(expected)}, got {_shown(got)}")


def require_close(
    what: str,
    got: Tensor,
    expected: Tensor,
    *,
    rtol: float = 1e-7,
    atol: float | Tensor = 0.0,
    at: Tensor | None = None,
) -> None:
    """Require two tensors to agree. The message shows the entry that differs most, and the value of ``at`` there."""
    require(isinstance(got, Tensor), what, f"a tensor {list(expected.shape)}", described(got))
    require(got.shape == expected.shape, f"the shape of {what}", list(expected.shape), list(got.shape))
    excess = ((got - expected).abs() - rtol * expected.abs() - atol).nan_to_num(nan=torch.inf).flatten()
    excess[(got == expected).flatten()] = -1.0  # infinities that agree
    worst = int(excess.argmax())
    where = "" if at is None else f" at {at.flatten()[worst].item():.6g}"
    pair = [tensor.flatten()[worst].item() for tensor in (expected, got)]
    require(bool(excess[worst] <= 0), what + where, *(f"{value:.9g}" for value in pair))


def require_same(what: str, got: Tensor, expected: Tensor, *, rtol: float = 1e-7, atol: float = 0.0) -> None:
    """Require a repetition to agree, unless the component draws from global generators, which a run says of it."""
    if drawn():
        require(got.shape == expected.shape, f"the shape of {what}", list(expected.shape), list(got.shape))
    else:
        require_close(what, got, expected, rtol=rtol, atol=atol)


def require_finite(what: str, value: Tensor) -> None:
    """Require all entries to be finite numbers."""
    require(isinstance(value, Tensor), what, "a tensor", described(value))
    require(bool(value.isfinite().all()), what, "finite numbers", value[~value.isfinite()])


@contextmanager
def require_error(kind: type[Exception], what: str) -> Iterator[None]:
    """Require the block to raise an exception of this type."""
    try:
        yield
    except kind:
        return
    raise UnmetError(f"{what}: expected {kind.__name__}, got no error")


def derivative(function: Callable[[Tensor], Tensor], t: Tensor, t_max: float = math.inf) -> tuple[Tensor, Tensor]:
    """The derivative by central differences, one-sided at ``t_max``, and the size of its rounding error."""
    before, after = t * (1 - 1e-6), (t * (1 + 1e-6)).clamp(max=t_max)
    low, high = function(before), function(after)
    return (high - low) / (after - before), 4e-16 * torch.maximum(low.abs(), high.abs()) / (after - before)


def _shown(value: object) -> object:
    if not isinstance(value, Tensor):
        return value
    return value.tolist() if value.numel() <= 6 else f"{value.flatten()[:6].tolist()} and {value.numel() - 6} more"
