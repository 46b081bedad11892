"""The events of a run, which workers report: to the display of progress and to trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from designspace.training.loop import Progress


@dataclass(frozen=True)
class Event:
    """Something that happened to a trial."""

    kind: Literal["training", "sampling", "finished", "failed", "settled"]
    """``settled``: another process has computed the trial."""
    trial: str
    """The trial's id."""
    label: str
    """The trial's name in messages: the values of its axes."""
    done: int = 0
    """The number of chunks sampled so far, or of images that a network has been trained on."""
    total: int = 1
    computed: bool = False
    """Whether the chunk was computed rather than read from the cache."""
    note: str = ""
    values: dict[str, float] = field(default_factory=dict)
    """Numbers that trackers record: of a training, those of ``of_training``."""


def of_training(progress: Progress) -> dict[str, float]:
    """The numbers of a training's progress by the names under which trackers record them."""
    return {"training/loss": progress.loss, "training/images_per_second": progress.rate}


Report = Callable[[Event], None]
