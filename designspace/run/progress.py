"""Showing the progress of a run: bars on a terminal or below the cell of a notebook, otherwise one line per chunk.

The training of a denoiser is shown as progress of the trial that needs it.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from designspace.bars import Cell, bars, in_notebook, line
from designspace.run.events import Event, Report
from designspace.text import clean, counted
from designspace.training.loop import Progress, Seen

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

SECONDS = 10.0
"""The time between two progress lines of a training."""


def seldom() -> Callable[..., bool]:
    """A function that returns true at most once every ``SECONDS``, and whenever ``always=True`` is passed."""
    last = -math.inf

    def due(*, always: bool = False) -> bool:
        nonlocal last
        found = always or monotonic() - last > SECONDS
        last = monotonic() if found else last
        return found

    return due


def say(text: str) -> None:
    """Print a line on stderr."""
    print(clean(text), file=sys.stderr, flush=True)


@contextmanager
def training_shown(*, quiet: bool = False) -> Iterator[Seen]:
    """Yield a function that shows the progress of a training outside a run, unless it is to be ``quiet``."""
    if quiet:
        yield lambda progress: None
    elif in_notebook():
        yield _training_cell()
    elif sys.stderr.isatty():
        with bars() as shows:
            yield _training_bar(shows)
    else:
        yield _training_lines()


def _training_bar(shows: Bars) -> Seen:
    """A bar that appears with the first progress, so that none is shown for a network from the cache."""

    def seen(progress: Progress) -> None:
        task = next(iter(shows.task_ids), None)
        if task is None:
            task = shows.add_task("training", state="")
        shows.update(task, total=progress.of, completed=progress.images, state=str(progress))

    return seen


def _training_cell() -> Seen:
    cell = Cell()

    def seen(progress: Progress) -> None:
        shown = line("training", progress.images / max(progress.of, 1), str(progress))
        cell.show([shown], always=progress.images >= progress.of)

    return seen


def _training_lines() -> Seen:
    due = seldom()

    def seen(progress: Progress) -> None:
        if due(always=progress.images >= progress.of):
            say(f"training: {progress}")

    return seen


@contextmanager
def watching(costs: Mapping[str, float], done: int, *, show: bool) -> Iterator[Report]:
    """Yield the function to call with each event of a run; ``costs`` maps the ids of trials to their relative costs."""
    if not show:
        yield lambda event: None
    elif in_notebook():
        yield _Cell(costs)
    elif sys.stderr.isatty():
        with _Bars(costs) as bars:
            yield bars
    else:
        say(f"{counted(len(costs), 'trial')} to do" + (f", {done} already done" if done else ""))
        yield _Lines(costs)


class _Clock:
    """Tracks how much of a run is done and estimates the remaining time from the pace of the chunks so far."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self._costs, self._shares = costs, dict.fromkeys(costs, 0.0)
        self._computed = self._busy = 0.0
        self._last = monotonic()
        self._finished: set[str] = set()

    def see(self, event: Event) -> None:
        now = monotonic()
        if event.kind == "training":  # the pace of training says nothing about that of sampling
            self._last = now
            return
        share = event.done / event.total if event.kind == "sampling" else 1.0
        share = max(share, self._shares[event.trial])  # several workers may compute chunks of one trial
        if event.computed:
            self._busy += now - self._last
            self._computed += (share - self._shares[event.trial]) * self._costs[event.trial]
        self._last, self._shares[event.trial] = now, share
        if event.kind != "sampling":
            self._finished.add(event.trial)

    def has(self, event: Event) -> bool:
        """Whether the trial is known to be finished, as each worker finds out."""
        return event.kind == "settled" and event.trial in self._finished

    def share(self) -> float:
        return sum(cost * self._shares[trial] for trial, cost in self._costs.items()) / sum(self._costs.values())

    def count(self) -> str:
        return f"{len(self._finished)}/{len(self._costs)}"

    def left(self) -> str:
        if not self._computed or (share := self.share()) >= 1:
            return ""
        seconds = round((1 - share) * sum(self._costs.values()) * self._busy / self._computed)
        return f"{seconds // 60} min {seconds % 60:02d} s left" if seconds >= 60 else f"{seconds} s left"


class _Lines:
    """Prints a line per computed chunk and per finished or failed trial, and occasional lines during training."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self._clock = _Clock(costs)
        self._due: defaultdict[str, Callable[..., bool]] = defaultdict(seldom)

    def __call__(self, event: Event) -> None:
        if self._clock.has(event):
            return
        self._clock.see(event)
        place = f"[{self._clock.count()}] {event.label}"
        if event.kind == "training":
            if self._due[event.trial](always=event.done == event.total):
                say(f"{place}: training: {event.done:,} of {event.total:,} images, {event.note}")
        elif event.kind == "sampling" and event.computed:
            say(f"{place}: chunk {event.done}/{event.total}, {self._clock.left()}")
        elif event.kind != "sampling":
            say(f"{place}: {event.note}")


class _Cell:
    """Shows below the cell of a notebook a line for all trials together, one for each in progress and each failure."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self._clock, self._cell = _Clock(costs), Cell()
        self._lines, self._failed = dict[str, str](), list[str]()

    def __call__(self, event: Event) -> None:
        if self._clock.has(event):
            return
        self._clock.see(event)
        self._lines.pop(event.trial, None)
        if not (ends := event.kind not in ("training", "sampling")):
            self._lines[event.trial] = line(clean(event.label), event.done / max(event.total, 1), state_of(event))
        self._failed += [clean(f"{event.label}: {event.note}")] * (event.kind == "failed")
        whole = line("trials", self._clock.share(), f"{self._clock.count()}  {self._clock.left()}")
        self._cell.show([whole, *self._lines.values(), *self._failed], always=ends)


class _Bars:
    """Shows one bar for all trials together and one for each trial in progress."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self._clock = _Clock(costs)
        self._progress = bars()
        self._all = self._progress.add_task("trials", total=1.0, state=self._clock.count())
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        if self._clock.has(event):
            return
        self._clock.see(event)
        state = f"{self._clock.count()}  {self._clock.left()}"
        self._progress.update(self._all, completed=self._clock.share(), state=state)
        if event.kind in ("training", "sampling"):
            self._show(event)
        elif event.trial in self._tasks:
            self._progress.remove_task(self._tasks.pop(event.trial))
        if event.kind == "failed":
            self._progress.console.print(
                clean(f"{event.label}: {event.note}"), style="red", markup=False, highlight=False
            )

    def _show(self, event: Event) -> None:
        if event.trial not in self._tasks:
            self._tasks[event.trial] = self._progress.add_task(clean(event.label), total=event.total, state="")
        about: dict[str, Any] = {"total": event.total, "completed": event.done, "state": state_of(event)}
        self._progress.update(self._tasks[event.trial], **about)


def state_of(event: Event) -> str:
    """What a trial in progress is doing."""
    return f"chunk {event.done}/{event.total}" if event.kind == "sampling" else f"training, {event.note}"
