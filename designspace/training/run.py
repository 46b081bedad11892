"""A training run that is kept: what was trained is not trained again, and what was begun goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from designspace.data.images import Images
from designspace.storage.cache import Cache
from designspace.storage.files import content_key
from designspace.training.batches import Batches
from designspace.training.loop import Progress, Seen, Trainer
from designspace.training.recipe import Recipe
from designspace.training.rows import TrainingRows
from designspace.training.state import State
from designspace.training.watch import shown

if TYPE_CHECKING:
    from designspace.training.rows import Augmentation

STAGE = "training"
SAVE_SECONDS = 60.0
"""Between savings: a kill loses so much."""


@dataclass(frozen=True)
class Plan:
    """What the parameters depend on, but for the number of images seen."""

    key: str
    """The hash of all of it: data, network, recipe, augmentation and the rows of the design."""
    design: TrainingRows
    data: Images
    recipe: Recipe
    augmentation: Augmentation | None
    labelled: bool
    build: Callable[[], nn.Module]
    """The untrained network."""
    spec: dict[str, Any]
    """The denoiser as plain data, with the length ``augment`` of its augmentation labels."""


@runtime_checkable
class Trainable(Protocol):
    """A denoiser that is trained first."""

    training_images: int
    labels: bool

    def plan(self, data: Images, design: TrainingRows) -> Plan:
        """What is to be trained."""


def trained(
    plan: Plan, images: int, device: torch.device, cache: Cache | None = None, seen: Seen | None = None
) -> State:
    """The state of ``plan`` after ``images`` images: kept, continued from what is kept, or trained from the start.

    One process trains while others wait. ``seen`` is called after each hundred steps, in place of showing the progress;
    what it raises ends the training, of which all steps are kept. Raises ``DivergedError``, and ``StorageError`` if it
    cannot be kept.
    """
    kept = Kept(cache or Cache(), plan)
    state = State(plan.build(), plan.recipe, device)
    steps = math.ceil(images / plan.recipe.batch_size)
    with kept.cache.lock(f"{STAGE}-{plan.key}"):
        if (start := kept.at_most(steps)) is not None:
            state.restore(start)
        if state.step < steps:
            trainer = Trainer(state, plan.design, _batches(plan, device))
            with nullcontext(seen) if seen else shown() as told:
                kept.go_on(state, trainer, images, told)
    return state


def _batches(plan: Plan, device: torch.device) -> Batches:
    size, seed = plan.recipe.batch_size, plan.recipe.seed
    return Batches.of(plan.data, plan.design, plan.augmentation, seed, size, labelled=plan.labelled, device=device)


@dataclass(frozen=True)
class Kept:
    """The states of a run that are in the cache: where each request ended, and how far it is now."""

    cache: Cache
    plan: Plan

    def at_most(self, steps: int) -> dict[str, Tensor] | None:
        """The latest state with at most so many steps, if there is one."""
        now = self._get("now")
        ends = [] if now is None else sorted(int(end) for end in now["ends"] if end <= steps)
        if now is not None and int(now["step"]) <= steps:
            return now
        return next((found for end in reversed(ends) if (found := self._get(end)) is not None), None)

    def go_on(self, state: State, trainer: Trainer, images: int, seen: Seen) -> None:
        """Train until ``images``, saving now and then and at the end."""
        last = monotonic()

        def save() -> None:
            nonlocal last
            if monotonic() - last > SAVE_SECONDS:
                self._put_now(state)
                last = monotonic()

        def tell(progress: Progress) -> None:
            try:
                seen(progress)
            except BaseException:
                self._put_now(state)
                raise

        trainer.run(images, tell, save)
        self._put(state.step, state.tensors())
        self._put_now(state, end=state.step)

    def _put_now(self, state: State, end: int | None = None) -> None:
        before = self._get("now")
        ends = [] if before is None else before["ends"].tolist()
        known = sorted({*ends, *([] if end is None else [end])})
        if before is None or int(before["step"]) <= state.step:
            self._put("now", state.tensors() | {"ends": torch.tensor(known, dtype=torch.int64)})
        else:  # an earlier end was asked for: the run stays as far as it is
            self._put("now", before | {"ends": torch.tensor(known, dtype=torch.int64)})

    def _get(self, name: object) -> dict[str, Tensor] | None:
        return self.cache.get(STAGE, content_key(self.plan.key, name))

    def _put(self, name: object, tensors: dict[str, Tensor]) -> None:
        self.cache.put(STAGE, content_key(self.plan.key, name), tensors)
