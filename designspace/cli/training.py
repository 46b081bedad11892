"""The progress of training on stderr: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from designspace.terminal import bars, say, seldom
from designspace.training.loop import Progress, Seen


@contextmanager
def shown() -> Iterator[Seen]:
    """Give a function that shows the progress it is called with."""
    if sys.stderr.isatty():
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
