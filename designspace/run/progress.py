"""What a run says while it works: bars on a terminal, else one line a chunk, both on stderr.

The training of a denoiser is shown among the trials.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from rich.progress import TaskID

from designspace.terminal import bars, say, seldom


@dataclass(frozen=True)
class Event:
    """Something happened to a trial."""

    kind: Literal["training", "chunk", "done", "failed"]
    trial: str
    label: str
    chunk: int = 0
    chunks: int = 1
    """Of a training these are images."""
    fresh: bool = False
    """Computed, not found in the cache."""
    note: str = ""


Report = Callable[[Event], None]


@contextmanager
def watching(costs: Mapping[str, float], done: int, *, show: bool) -> Iterator[Report]:
    """Give the function to call with each event of a run that has the trials ``costs`` (id: relative cost) to do."""
    if not show:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _Bars(costs) as bars:
            yield bars
    else:
        say(f"{len(costs)} trials to do" + (f", {done} done before" if done else ""))
        yield _Lines(costs)


class _Clock:
    """How much is done and what the rest will take, by the trials' relative costs and the time since the start."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self._costs, self._shares = costs, dict.fromkeys(costs, 0.0)
        self._computed = self._busy = 0.0
        self._last = monotonic()
        self._finished = 0

    def see(self, event: Event) -> None:
        now = monotonic()
        if event.kind == "training":  # says nothing of how long chunks take
            self._last = now
            return
        share = event.chunk / event.chunks if event.kind == "chunk" else 1.0
        if event.fresh:
            self._busy += now - self._last
            self._computed += (share - self._shares[event.trial]) * self._costs[event.trial]
        self._last, self._shares[event.trial] = now, share
        self._finished += event.kind != "chunk"

    def share(self) -> float:
        return sum(cost * self._shares[trial] for trial, cost in self._costs.items()) / sum(self._costs.values())

    def count(self) -> str:
        return f"{self._finished}/{len(self._costs)}"

    def left(self) -> str:
        if not self._computed:
            return ""
        seconds = round((1 - self.share()) * sum(self._costs.values()) * self._busy / self._computed)
        return f"{seconds // 60} min {seconds % 60:02d} s left" if seconds >= 60 else f"{seconds} s left"


class _Lines:
    def __init__(self, costs: Mapping[str, float]) -> None:
        self._clock = _Clock(costs)
        self._due: defaultdict[str, Callable[..., bool]] = defaultdict(seldom)

    def __call__(self, event: Event) -> None:
        self._clock.see(event)
        place = f"[{self._clock.count()}] {event.label}"
        if event.kind == "training":
            if self._due[event.trial](always=event.chunk == event.chunks):
                say(f"{place}: training: {event.chunk:,} of {event.chunks:,} images, {event.note}")
        elif event.kind == "chunk" and event.fresh:
            say(f"{place}: chunk {event.chunk}/{event.chunks}, {self._clock.left()}")
        elif event.kind != "chunk":
            say(f"{place}: {event.note}")


class _Bars:
    """A bar for all trials and one for the chunks of each trial that is being worked on."""

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
        self._clock.see(event)
        state = f"{self._clock.count()}  {self._clock.left()}"
        self._progress.update(self._all, completed=self._clock.share(), state=state)
        if event.kind in ("training", "chunk"):
            self._show(event)
        elif event.trial in self._tasks:
            self._progress.remove_task(self._tasks.pop(event.trial))
        if event.kind == "failed":
            self._progress.console.print(f"{event.label}: {event.note}", style="red", markup=False, highlight=False)

    def _show(self, event: Event) -> None:
        if event.trial not in self._tasks:
            self._tasks[event.trial] = self._progress.add_task(event.label, total=event.chunks, state="")
        state = f"chunk {event.chunk}/{event.chunks}" if event.kind == "chunk" else f"training, {event.note}"
        self._progress.update(self._tasks[event.trial], total=event.chunks, completed=event.chunk, state=state)
