"""The progress of training on stderr: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress as Bars

from designspace.terminal import bars, say, seldom
from designspace.training.loop import Progress, Seen


@contextmanager
def shown() -> Iterator[Seen]:
    """Give a function that shows the progress it is called with."""
    if sys.stderr.isatty():
        with bars() as shows:
            yield _bar(shows)
    else:
        yield _lines()


def _bar(shows: Bars) -> Seen:
    """The bar appears with the first progress: a network from the cache has none."""

    def seen(progress: Progress) -> None:
        task = next(iter(shows.task_ids), None)
        if task is None:
            task = shows.add_task("training", state="")
        shows.update(task, total=progress.of, completed=progress.images, state=str(progress))

    return seen


def _lines() -> Seen:
    due = seldom()

    def seen(progress: Progress) -> None:
        if due(always=progress.images >= progress.of):
            say(f"training: {progress}")

    return seen
