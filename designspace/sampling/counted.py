"""Counting evaluations where networks are called, and checking what a denoiser returns to a solver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from designspace.errors import BrokenRowError, RowError
from designspace.registry.calling import described
from designspace.registry.component import Component
from designspace.sampling import rows

DENOISER = "denoiser"
"""The row that errors of D are attributed to."""


@dataclass
class _Images:
    """The numbers of images that networks were called with."""

    main: int = 0
    """Those of the main network with the condition of the image."""
    guidance: int = 0
    """All others."""


_counter: ContextVar[_Images | None] = ContextVar("counter", default=None)


@contextmanager
def _counting() -> Iterator[_Images]:
    """Count the calls of networks inside the ``with`` block."""
    counter = _Images()
    token = _counter.set(counter)
    try:
        yield counter
    finally:
        _counter.reset(token)


def count_call(images: int) -> None:
    """Count one call of a network with a batch of ``images`` images.

    The denoisers of the framework do this, and so does ``precondition``. A denoiser that calls a network of its own
    more than once per evaluation should do it for each call: an evaluation in which no call is counted counts as one.
    """
    if (counter := _counter.get()) is not None:
        counter.main += images


def guiding(D: rows.D, own: int = 0) -> rows.D:
    """The denoiser ``D``, with its calls counted as ``nfe_guidance`` instead of ``nfe``.

    A guided denoiser wraps with it whatever it evaluates in addition to the main network with the condition of its
    images: the network without the condition, or another network.

    Args:
        D: The additional denoiser.
        own: The number of images per call that the main network sees with their own condition. It is B if one batch of
            2 B images holds B images twice, with their condition and without it.
    """

    def guide(x: Tensor, sigma: Tensor) -> Tensor:
        with _counting() as inner:
            out = D(x, sigma)
        if (counter := _counter.get()) is not None:
            counter.main += own
            counter.guidance += (inner.main + inner.guidance or len(x)) - own
        return out

    return guide


class Calls:
    """The number of calls per image: calls for the whole batch, and further calls for some of its images."""

    def __init__(self) -> None:
        self.whole: int | float = 0
        self._each: Tensor | None = None

    def add(self, number: int | float, active: Tensor | None) -> None:
        """Add calls for each image or, with ``active``, bool ``[B]``, for each active image."""
        if active is None:
            self.whole += number
        elif number:
            more = active.to(torch.int64 if isinstance(number, int) else torch.float64) * number
            self._each = more if self._each is None else self._each + more

    def each(self) -> Tensor | None:
        """The number for each image, ``[B]``; ``None`` if all calls were for the whole batch."""
        return None if self._each is None else self._each + self.whole

    def mean(self) -> int | float:
        """The number per image, averaged over the batch."""
        each = self.each()
        return self.whole if each is None else each.double().mean().item()


class Calling:
    """The denoiser ``D``, with the ``number`` of calls of networks per image, those of guidance included."""

    def __init__(self, D: rows.D) -> None:
        self._D = D
        self.number: int | float = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._D, name)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        with _counting() as images:
            out = self._D(x, sigma)
        self.number += _per_image(images.main + images.guidance, x) or 1
        return out


class CountedDenoiser:
    """A denoiser that counts its evaluations, so that the NFE of a run is measured, and checks its outputs."""

    def __init__(self, D: rows.D) -> None:
        self._D = D
        self._name = component_of(D)
        self._may_mistake_images = True
        self.main = Calls()
        """The calls of the main network with the condition of the image, at least one per evaluation."""
        self.guidance = Calls()
        """All other calls; see ``guiding``."""
        self._spent: list[tuple[int | float, Tensor]] = []

    def at_step(self, i: int, sigma: float) -> None:
        """Tell the denoiser, if it wants to know, that step ``i`` begins at the noise level ``sigma``."""
        if begin := getattr(self._D, "at_step", None):
            begin(i, sigma)

    def spend(self, evaluations: int | float, unchanged: Tensor) -> None:
        """Note the evaluations of a step, and whether it left the samples unchanged, a bool on their device."""
        self._spent.append((evaluations, unchanged))

    @property
    def idle(self) -> int | float:
        """The part of ``main`` that was spent on steps that left the samples unchanged. It waits for the device."""
        return sum(evaluations for evaluations, unchanged in self._spent if unchanged)

    def __call__(self, x: Tensor, sigma: float | Tensor, active: Tensor | None = None) -> Tensor:
        """``D(x; sigma)`` in the dtype of ``x``. With ``active``, bool ``[B]``, it is counted only for those images.

        Raises ``RowError``, a ``ValueError``, if D does, if its output is not a floating-point tensor with the shape
        and on the device of ``x``, or if it mixes images up; see ``_check_images``.
        """
        sigma = torch.as_tensor(sigma, dtype=torch.float64)
        with _counting() as images:
            try:
                out = self._D(x, sigma)
            except RowError:
                raise
            except ValueError as error:
                raise RowError(DENOISER, str(error)) from error
        self.main.add(_per_image(images.main, x) or 1, active)
        self.guidance.add(_per_image(images.guidance, x), active)
        require_denoised(out, x, self._name)
        if sigma.ndim and self._may_mistake_images and len(x) == x.shape[-1] > 1:
            self._check_images(x, sigma, out)
        return out.to(x.dtype)

    def _check_images(self, x: Tensor, sigma: Tensor, out: Tensor) -> None:
        """Raise ``ValueError`` if D applies the noise level of each image to a column of pixels instead.

        PyTorch aligns shapes at their ends, so this mistake raises no error if the batch is as large as an image is
        wide. One more evaluation, which is not counted, detects it: the first image must not change with the noise
        level of the last.
        """
        self._may_mistake_images = False
        other = torch.cat([sigma[:-1], sigma[-1:] / 2])
        first, again = out[0], self._D(x, other)[0]
        if (first - again).abs().max() > 1e-3 * first.abs().max():
            shape = ", ".join(["-1", *["1"] * (x.ndim - 1)])
            text = "its output for an image depends on the noise level of another"
            text = f"{self._name}D gets sigma [{len(x)}], one level per image, but {text}: use sigma.reshape({shape})"
            raise BrokenRowError(DENOISER, text)


def component_of(D: rows.D) -> str:
    """The component whose code D is, as the beginning of a message; empty if D does not say it."""
    by = getattr(D, "component", None)
    return f"{by.row} '{by.name}': " if isinstance(by, Component) else ""


def require_denoised(out: object, x: Tensor, name: str = "") -> Tensor:
    """Return what D has returned for ``x`` if it is a floating-point tensor of the same shape on the same device.

    Raises ``BrokenRowError`` otherwise, which begins with ``name``.
    """
    fits = isinstance(out, Tensor) and out.shape == x.shape and out.is_floating_point() and out.device == x.device
    if not fits:
        place = f" on {out.device} for x on {x.device}" if isinstance(out, Tensor) and out.device != x.device else ""
        text = f"{name}D returns {described(out)}{place} for x {list(x.shape)}; it must return the denoised x"
        raise BrokenRowError(DENOISER, f"{text}, in the same shape")
    assert isinstance(out, Tensor)
    return out


def _per_image(images: int, x: Tensor) -> int | float:
    """The number of calls per image of ``x``; a fraction if a network was called for some of the images only."""
    return images // len(x) if images % len(x) == 0 else images / len(x)
