"""Training with checkpoints: finished training is not repeated, and interrupted training resumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from designspace.data.images import Images
from designspace.interrupts import deferred, stop
from designspace.registry.float32 import full_float32
from designspace.registry.isolation import isolated
from designspace.storage.cache import Cache
from designspace.storage.files import content_key
from designspace.training.batches import Batches
from designspace.training.loop import Progress, Seen, Trainer
from designspace.training.ranks import ALONE, Ranks
from designspace.training.recipe import Recipe
from designspace.training.rows import TrainingRows
from designspace.training.state import State

if TYPE_CHECKING:
    from designspace.training.rows import Augmentation

STAGE = "training"
SAVE_SECONDS = 60.0
"""The shortest time between checkpoints, in seconds.

They are written when the loop reports its progress, so that a killed process loses at most this time and
``training.loop.PATIENCE``, or one step if that takes longer.
"""
_LISTENER: ContextVar[Seen | None] = ContextVar("listener", default=None)


@dataclass(frozen=True)
class Plan:
    """Everything that the parameters depend on except for the number of images seen."""

    key: str
    """The hash of data, network, recipe, augmentation and the rows of the design."""
    design: TrainingRows
    data: Images
    recipe: Recipe
    augmentation: Augmentation | None
    labelled: bool
    label_dropout: float
    build: Callable[[], nn.Module]
    """Builds the untrained network."""
    spec: dict[str, Any]
    """The denoiser as plain data, including the length ``augment`` of its augmentation labels."""
    stops: tuple[int, ...] = ()
    """The numbers of steps after which the state is kept on the way."""


@runtime_checkable
class Trainable(Protocol):
    """A denoiser that has to be trained before it can be used."""

    training_images: int
    labels: bool
    snapshots: tuple[float, ...]

    def snapshot(self, fraction: float) -> Trainable:
        """The same denoiser after a fraction of its training."""

    def plan(self, data: Images, design: TrainingRows) -> Plan:
        """The training that this denoiser needs."""


def trained(
    plan: Plan,
    images: int,
    device: torch.device,
    cache: Cache | None = None,
    seen: Seen | None = None,
    *,
    ranks: Ranks = ALONE,
) -> State:
    """The state of ``plan`` after ``images`` images, from the cache or by training from the latest checkpoint.

    Only one process trains a plan at a time; others wait for it. ``seen`` is called about every hundred steps; without
    it, the listener given to ``heard_by`` is called. An exception raised by ``seen`` ends the training after saving a
    checkpoint, and so do SIGINT and SIGTERM in the main thread, after the current step. Raises ``DivergedError``,
    ``Interrupted``, and ``StorageError`` if a checkpoint cannot be written.

    Processes that share a training call this function with their ``ranks``. The first of them alone uses the cache, and
    the others begin with its state; a signal to one of them ends all. Raises ``LostError`` if one of them is lost.
    """
    kept = Checkpoints(cache or Cache(), plan)
    with isolated(device, "network", plan.key):  # a user's code may draw parameters from global generators
        state = State(plan.build(), plan.recipe, device, plan.design, ranks)
    steps = math.ceil(images / plan.recipe.batch_size)
    locked = kept.cache.lock(f"{STAGE}-{plan.key}") if ranks.first else nullcontext()
    with locked, full_float32():
        if ranks.first and (start := kept.at_most(steps)) is not None:
            state.restore(start)
        if ranks.count > 1:
            state.restore(ranks.from_first(plan.key, state.tensors() if ranks.first else None))
        if state.step < steps:
            trainer = Trainer(state, plan.design, batches_of(plan, device, ranks))
            kept.train(state, trainer, images, seen or _LISTENER.get() or _silent)
    return state


@contextmanager
def heard_by(listener: Seen) -> Iterator[None]:
    """Within the block, report the progress of training to ``listener``.

    A denoiser is trained while it is loaded, far down the call stack from the code that shows the progress of a run.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def _silent(progress: Progress) -> None:
    pass


def batches_of(plan: Plan, device: torch.device, ranks: Ranks = ALONE) -> Batches:
    """The batches of a training, of which each process takes its share."""
    given = plan.data, plan.design, plan.augmentation, plan.recipe.seed, plan.recipe.batch_size
    dropout, stratified = plan.label_dropout, plan.recipe.stratified
    return Batches.of(
        *given, labelled=plan.labelled, device=device, label_dropout=dropout, stratified=stratified, ranks=ranks
    )


@dataclass(frozen=True)
class Checkpoints:
    """The cached states of a training run: its latest state, its snapshots, and where earlier requests ended.

    If fewer images are requested than before, the latest state of that training is kept as well.
    """

    cache: Cache
    plan: Plan

    def at_most(self, steps: int) -> dict[str, Tensor] | None:
        """The latest cached state with at most ``steps`` steps, or ``None``."""
        now = self._get("now")
        if now is not None and int(now["step"]) <= steps:
            return now
        ends = [] if now is None else sorted(int(end) for end in now["ends"] if end <= steps)
        end = next((found for end in reversed(ends) if (found := self._get(end)) is not None), None)
        kept = [found for found in (end, self._get("earlier")) if found is not None and int(found["step"]) <= steps]
        return max(kept, key=lambda found: int(found["step"]), default=None)

    def train(self, state: State, trainer: Trainer, images: int, seen: Seen) -> None:
        """Train until ``images`` images have been seen, saving checkpoints on the way and at the end."""
        last = monotonic()

        def save() -> None:
            nonlocal last
            if state.step in self.plan.stops:
                self._put_end(state)
                last = monotonic()
            elif monotonic() - last > SAVE_SECONDS:
                self._put_now(state)
                last = monotonic()

        def tell(progress: Progress) -> None:
            try:
                seen(progress)
            except BaseException:
                self._put_now(state)
                raise

        with deferred() as interrupted:
            trainer.run(images, tell, save, interrupted, self.plan.stops)
            if state.images < images:
                self._put_now(state)
                stop(f"training saved at {state.images:,} of {images:,} images")
        self._put_end(state)

    def _put_end(self, state: State) -> None:
        if not state.ranks.first:
            return
        self._put(state.step, state.tensors())
        self._put_now(state, end=state.step)

    def _put_now(self, state: State, end: int | None = None) -> None:
        if not state.ranks.first:
            return
        before = self._get("now")
        ends = [] if before is None else before["ends"].tolist()
        known = sorted({*ends, *([] if end is None else [end])})
        if before is None or int(before["step"]) <= state.step:
            self._put("now", state.tensors() | {"ends": torch.tensor(known, dtype=torch.int64)})
        elif end is None:  # fewer images were requested than before: keep the latest state as well
            self._put("earlier", state.tensors())
        else:
            self._put("now", before | {"ends": torch.tensor(known, dtype=torch.int64)})

    def _get(self, name: object) -> dict[str, Tensor] | None:
        return self.cache.get(STAGE, content_key(self.plan.key, name))

    def _put(self, name: object, tensors: dict[str, Tensor]) -> None:
        self.cache.put(STAGE, content_key(self.plan.key, name), tensors)
