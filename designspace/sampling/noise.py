"""Random numbers keyed by their purpose: those of image k are the same in every batch, process and resumed run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

Key = tuple[object, ...]

DEPTH = 8
"""The largest number of tensors that ``Ahead`` computes before they are needed."""
MEMORY = 2**28
"""No further tensor is begun once these take so many bytes in all, so that they take at most one tensor more."""
PER_TASK = 16
"""The smallest number of images that a thread is given at once."""


def generator(*key: object) -> np.random.Generator:
    """A counter-based generator (Philox, Salmon et al. 2011) whose stream depends on ``key`` only."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(key), "little")))


def _digest(key: Key) -> bytes:
    return hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()


def latents(seed: object, images: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Unit Gaussian latents of the images, float32 ``[len(images), *shape]``."""
    return _drawn(_latent_keys(seed, images), (len(images), *shape))


def _latent_keys(seed: object, images: Sequence[int]) -> list[Key]:
    return [("latent", seed, k) for k in images]


@dataclass(frozen=True)
class KeyedNoise:
    """``noise(step, draw)`` for a batch of images, which depends on seed, image, step and draw only."""

    seed: int
    images: Sequence[int]
    shape: tuple[int, ...]

    def __call__(self, step: int, draw: int) -> Tensor:
        """Unit Gaussian noise, float32 ``[len(images), *shape]``."""
        return _drawn(_noise_keys(self.seed, self.images, step, draw), (len(self.images), *self.shape))


def _noise_keys(seed: int, images: Sequence[int], step: int, draw: int) -> list[Key]:
    return [("noise", seed, k, step, draw) for k in images]


def _drawn(keys: Sequence[Key], shape: tuple[int, ...]) -> Tensor:
    out = torch.empty(shape, dtype=torch.float32)
    _fill(out.reshape(len(keys), -1).numpy(), keys)
    return out


def _fill(rows: np.ndarray[Any, np.dtype[np.float32]], keys: Iterable[Key]) -> None:
    """Fill each row with unit Gaussian numbers from the beginning of the stream of its key.

    One generator is moved from stream to stream, which takes a third of the time of making one for each. While it
    fills a row, it does not hold Python's lock.
    """
    bits = np.random.Philox(key=0)
    beginning: Any = bits.state
    draw = np.random.Generator(bits)
    for row, key in zip(rows, keys, strict=True):
        beginning["state"]["key"][:] = np.frombuffer(_digest(key), "<u8")
        bits.state = beginning
        draw.standard_normal(out=row, dtype=np.float32)


class Draw(NamedTuple):
    """What is drawn for a batch of images: their latents or, with ``step`` and ``draw``, noise."""

    images: range
    step: int | None = None
    draw: int = 0

    def keys(self, seed: int) -> list[Key]:
        """The keys of the streams, one for each image."""
        if self.step is None:
            return _latent_keys(seed, self.images)
        return _noise_keys(seed, self.images, self.step, self.draw)


class Drawn:
    """The latents and the noise of images of one shape, ``[len(images), *shape]``, computed when they are asked for."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self._seed, self._shape = seed, shape

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Release what the object holds."""

    def latents(self, images: range) -> Tensor:
        """What the function ``latents`` gives for these images."""
        return self._get(Draw(images))

    def noise(self, images: range) -> Callable[[int, int], Tensor]:
        """What ``KeyedNoise`` gives for these images."""
        return lambda step, draw: self._get(Draw(images, step, draw))

    def _get(self, what: Draw) -> Tensor:
        return _drawn(what.keys(self._seed), (len(what.images), *self._shape))


class Ahead(Drawn):
    """The same numbers, computed in threads before they are asked for, in the order in which they are expected.

    What is asked for in another order is computed at once; only speed depends on ``expected``. An exception of a
    thread is raised where its numbers are asked for. No thread is left at the end of the ``with`` block.

    With ``pinned``, tensors are in page-locked memory, from which copies to a GPU are asynchronous. Such memory comes
    from PyTorch's caching host allocator, which notes each asynchronous copy and does not use the memory of a deleted
    tensor again before its copies are complete.
    """

    def __init__(
        self, seed: int, shape: tuple[int, ...], expected: Iterable[Draw], threads: int, *, pinned: bool = False
    ) -> None:
        super().__init__(seed, shape)
        self._expected: Iterator[Draw] = iter(expected)
        self._threads, self._pinned = threads, pinned
        self._ready: dict[Draw, tuple[Tensor, list[Future[None]]]] = {}
        self._pool = ThreadPoolExecutor(threads, "noise")

    def __enter__(self) -> Self:
        self._refill()
        return self

    def __exit__(self, *error: object) -> None:
        """End the threads; what nobody has asked for is dropped."""
        self._pool.shutdown(cancel_futures=True)
        self._ready.clear()

    def _get(self, what: Draw) -> Tensor:
        if what not in self._ready:
            return super()._get(what)
        while next(iter(self._ready)) != what:  # expected before it, but never asked for
            del self._ready[next(iter(self._ready))]
        out, parts = self._ready.pop(what)
        self._refill()
        for part in parts:
            part.result()
        return out

    def _refill(self) -> None:
        while len(self._ready) < DEPTH and (what := next(self._expected, None)):
            self._ready[what] = self._start(what)
            if sum(out.nbytes for out, _ in self._ready.values()) >= MEMORY:
                return

    def _start(self, what: Draw) -> tuple[Tensor, list[Future[None]]]:
        out = torch.empty((len(what.images), *self._shape), dtype=torch.float32, pin_memory=self._pinned)
        rows, size = out.reshape(len(out), -1).numpy(), max(PER_TASK, math.ceil(len(out) / self._threads))
        keys = what.keys(self._seed)
        starts = range(0, len(out), size)
        return out, [self._pool.submit(_fill, rows[i : i + size], keys[i : i + size]) for i in starts]
