"""Functions ``D(x, sigma, labels)`` of the user as denoisers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from pydantic import PrivateAttr
from torch import Tensor

from designspace.data.images import Images
from designspace.denoising.rows import Conditional, Denoiser, PreconditioningRows
from designspace.errors import DataError
from designspace.registry.calling import described
from designspace.sampling.counted import count_call
from designspace.sampling.rows import D, SupportedLevels

Function = Callable[..., Any]
"""``D(x [B, ...], sigma, labels [B] or None)`` or, without labels, ``D(x, sigma)``."""


@dataclass(frozen=True)
class Range:
    """All noise levels from ``low`` to ``high``, as ``SupportedLevels``."""

    low: float = 0.0
    high: float = math.inf

    def limits(self) -> tuple[float, float]:
        """The lowest and the highest level."""
        return self.low, self.high

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The levels themselves."""
        return sigma


@dataclass(frozen=True)
class Bindable:
    """A function on its device as a denoiser; ``bind`` gives ``D(x, sigma)`` for given labels."""

    function: Function
    shape: tuple[int, ...]
    """The shape of one sample."""
    levels: SupportedLevels = field(default_factory=Range)

    def bind(self, labels: Tensor | None = None) -> D:
        """``D(x, sigma)`` for class labels, int64 ``[B]``, or without labels.

        Raises ``ValueError`` if there are labels and the function takes none.
        """
        if labels is not None and not self._takes_labels:
            raise ValueError(
                "the function takes x and sigma, but no labels: use `labels: none` of evaluate, or write"
                " D(x, sigma, labels)"
            )
        return _Bound(self.function, self.levels, (labels,) if self._takes_labels else ())

    @cached_property
    def _takes_labels(self) -> bool:
        function = self.function.forward if isinstance(self.function, torch.nn.Module) else self.function
        try:
            inspect.signature(function).bind(None, None, None)
        except TypeError:
            return False
        except ValueError:  # some callables written in C have no signature
            return True
        return True


class _Bound:
    """``D(x, sigma)``, called with float32 and counted as one evaluation."""

    def __init__(self, function: Function, levels: SupportedLevels, labels: tuple[Tensor | None, ...]) -> None:
        self._function, self._labels = function, labels
        self.sigma_min, self.sigma_max = levels.limits()
        self.round_sigma = levels.round_sigma

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        count_call(len(x))
        sigma = torch.as_tensor(sigma, dtype=torch.float64)
        try:
            found: Any = self._function(x.float(), sigma, *self._labels)
        except RuntimeError as error:
            if sigma.ndim:
                ones = ", 1" * (x.ndim - 1)
                error.add_note(f"sigma is [{len(x)}], one level per image: use sigma.to(x).reshape(-1{ones})")
            raise
        return found.to(x.dtype) if isinstance(found, Tensor) and found.is_floating_point() else found


def bindable(
    function: Any, where: str, shape: tuple[int, ...], levels: SupportedLevels, device: torch.device
) -> Bindable:
    """The denoiser of a function that ``where`` gives, or of a module, which is put in evaluation mode on ``device``.

    Raises ``DataError`` if it cannot be called.
    """
    if not callable(function):
        gives = f"{where} gives {described(function)}, which cannot be called"
        raise DataError(f"{gives}: let it return a function D(x, sigma, labels) or a torch.nn.Module")
    if isinstance(function, torch.nn.Module):
        function = function.to(device).eval()  # the caller may train it later, so that its gradients stay enabled
    return Bindable(function, shape, levels)


class Given(Denoiser):
    """A function or module of a Python program as the denoiser of a run; ``id`` alone is its identity.

    It has no entry in the registry, because no spec can name it. The attributes ``shape``, ``sigma_min``, ``sigma_max``
    and ``round_sigma`` of the function are used if it has them.
    """

    name: ClassVar[str] = "function"
    id: str
    _function: Any = PrivateAttr(default=None)

    @classmethod
    def of(cls, function: Function, id: str) -> Given:
        """The denoiser of ``function``."""
        found = cls(id=id)
        found._function = function
        return found

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return tuple(getattr(self._function, "shape", data.shape))

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        return bindable(self._function, "denoiser", self.shape_of(data), self._levels, device)

    def supported(self, design: PreconditioningRows) -> SupportedLevels:
        return self._levels

    @cached_property
    def _levels(self) -> SupportedLevels:
        return _LevelsOf(self._function)


class _LevelsOf:
    def __init__(self, function: Function) -> None:
        self._function = function

    def limits(self) -> tuple[float, float]:
        low, high = getattr(self._function, "sigma_min", 0.0), getattr(self._function, "sigma_max", math.inf)
        return float(low), float(high)

    def round_sigma(self, sigma: Tensor) -> Tensor:
        found: Tensor = getattr(self._function, "round_sigma", lambda level: level)(sigma)
        return found
