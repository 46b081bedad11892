"""Showing the progress of a training outside a run: a bar on a terminal or below the cell of a notebook, or lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from designspace.bars import Cell, bars, in_notebook, line, say, seldom
from designspace.training.loop import Progress, Seen

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


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
