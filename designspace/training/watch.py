"""What training says while it works: to the run that it is a part of; else a bar on a terminal, or lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from designspace.terminal import bars, say, seldom
from designspace.training.loop import Progress, Seen

_LISTENER: ContextVar[Seen | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Seen) -> Iterator[None]:
    """In the block training tells ``listener`` and shows nothing itself: two bars at once would spoil each other."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def shown() -> Iterator[Seen]:
    """Give the function to call with the progress of training; it shows it on stderr, unless somebody listens."""
    if listener := _LISTENER.get():
        yield listener
    elif sys.stderr.isatty():
        with bars() as shows:
            task = shows.add_task("training", total=None, state="")
            yield lambda p: shows.update(task, total=p.of, completed=p.images, state=str(p))
    else:
        yield _lines()


def _lines() -> Seen:
    due = seldom()

    def seen(progress: Progress) -> None:
        if due(always=progress.images >= progress.of):
            say(f"training: {progress}")

    return seen
