"""The training loop."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import torch
from torch import Tensor, nn

from designspace.denoising.networks import seeded
from designspace.denoising.preconditioned import Preconditioned
from designspace.training.batches import Batch, Batches, Drawn
from designspace.training.loss import squared_errors
from designspace.training.rows import TrainingRows
from designspace.training.state import State

ENTRY = 100
"""Steps per entry of the loss record; after each entry the loss is checked for divergence."""
PATIENCE = 10.0
"""Progress is reported after this many seconds even if an entry is not complete."""
AHEAD = 4
"""How many batches are drawn in advance."""
SPIKE = 20.0
"""Training counts as diverged if the loss exceeds that of the first batch by this factor."""


class DivergedError(Exception):
    """Training diverged: the loss is not finite, or far above its initial value."""


@dataclass(frozen=True)
class Progress:
    """The progress of a training run."""

    images: int
    """Images seen so far."""
    of: int
    """Images to be seen in total."""
    loss: float
    """The mean loss of the current entry of the record."""
    rate: float
    """Images per second since ``Trainer.run`` was called."""

    @property
    def pace(self) -> str:
        """Speed, loss and remaining time as text."""
        left = max(self.of - self.images, 0) / self.rate if self.rate else math.inf
        time = f"{left / 60:.0f} min" if left >= 100 else f"{left:.0f} s"
        return f"{self.rate:,.0f} images/s, loss {self.loss:.4g}, {time} left"

    def __str__(self) -> str:
        return f"{self.images:,} of {self.of:,} images, {self.pace}"


Seen = Callable[[Progress], None]


class Trainer:
    """Advances a training state step by step."""

    def __init__(self, state: State, design: TrainingRows, batches: Batches) -> None:
        self.state, self._batches = state, batches
        network: nn.Module = torch.compile(state.network) if state.recipe.compile else state.network  # type: ignore[assignment]
        self._D = Preconditioned(network, design)

    def run(
        self,
        images: int,
        seen: Seen,
        save: Callable[[], None],
        interrupted: Callable[[], bool] = lambda: False,
        stops: Collection[int] = (),
    ) -> None:
        """Train until at least ``images`` images have been seen, or until ``interrupted`` returns true after a step.

        ``seen`` and ``save`` are called after each entry, and every ``PATIENCE`` seconds within slow ones; ``save`` is
        also called after the steps ``stops``. Raises ``DivergedError``.
        """
        start, before = monotonic(), self.state.images
        told, steps = start, range(self.state.step, math.ceil(images / self.state.recipe.batch_size))
        stopping, overdue = self.state.ranks.vote(), self.state.ranks.vote()
        with in_advance(self._batches.drawn, steps) as coming:
            while self.state.images < images and not stopping(interrupted()):
                self.step(self._batches.made(next(coming), self.state.levels))
                whole = self.state.step % ENTRY == 0
                slow = overdue(self.state.ranks.first and monotonic() - told > PATIENCE)
                if whole or slow or self.state.images >= images:
                    loss, told = self.state.loss(), monotonic()
                    if whole or self.state.images >= images:  # divergence must not depend on timing
                        self._check(loss)
                    if whole:
                        self.state.close_entry()
                    seen(Progress(self.state.images, images, loss, (self.state.images - before) / (told - start)))
                    save()
                elif self.state.step in stops:
                    self.state.settle()
                    save()
        self.state.settle()

    def step(self, batch: Batch) -> None:
        """Take a step. The host does not wait for the device."""
        recipe = self.state.recipe
        size = math.ceil(recipe.batch_size / recipe.accumulate)
        parts = [slice(start, start + size) for start in range(0, len(batch.y), size)]
        seen: list[tuple[Tensor, Tensor]] = []
        with seeded(batch.seed, batch.y.device):  # dropout uses PyTorch's global generators
            for part in parts:
                found = self._errors(batch, part)
                losses = self.state.losses(found, batch.sigma[part])
                (losses.sum() / recipe.batch_size).backward()  # type: ignore[no-untyped-call]
                seen.append((found.detach(), losses.detach()))
        self.state.see(batch.all_sigma, *map(torch.cat, zip(*seen, strict=True)))
        self.state.apply()

    def _errors(self, batch: Batch, part: slice) -> Tensor:
        labels, augment = (None if column is None else column[part] for column in (batch.labels, batch.augment))
        y, levels, D = batch.y[part], batch.levels.part(part), self._D.told(labels, augment)
        if self.state.recipe.channels_last:
            y = y.to(memory_format=torch.channels_last)
        bf16 = self.state.recipe.precision == "bf16"
        with torch.autocast(y.device.type, torch.bfloat16, enabled=bf16):
            found = squared_errors(lambda x, sigma: D.at(levels.coefficients, x), y, levels.sigma, batch.noise[part])
            return levels.weight.to(torch.float32) * found

    def _check(self, loss: float) -> None:
        first = self.state.first
        if not math.isfinite(loss) or loss > SPIKE * first:
            at = f"{self.state.images:,} images"
            raise DivergedError(
                f"training diverged: loss {loss:.4g} at {at}, {first:.4g} at the start; lower learning_rate"
            )


@contextmanager
def in_advance(make: Callable[[int], Drawn], steps: Iterable[int]) -> Iterator[Iterator[Drawn]]:
    """``make(step)`` for each of ``steps``, computed up to ``AHEAD`` steps in advance by another thread."""
    executor, coming = ThreadPoolExecutor(1, "batches"), deque[Future[Drawn]]()

    def made() -> Iterator[Drawn]:
        for step in steps:
            coming.append(executor.submit(make, step))
            if len(coming) > AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()

    try:
        yield made()
    finally:
        executor.shutdown(cancel_futures=True)
