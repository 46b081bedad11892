"""Progress bars on stderr, which are shown only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
DELAY = 2.0
"""The time in seconds after which ``shown`` shows its bar."""
_shown: list[Progress] = []
"""The bars that are on the terminal."""
_hidden: list[bool] = []


def hide() -> None:
    """Show no bars in this process: it is a worker, whose stderr is also that of other processes."""
    _hidden.append(True)


def bars(*, transient: bool = False) -> Progress:
    """Progress bars; each shows a description and a text ``state``. ``transient`` ones vanish at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    class Bars(Progress):
        def start(self) -> None:
            super().start()
            _shown.append(self)

        def stop(self) -> None:
            super().stop()
            if self in _shown:
                _shown.remove(self)

    name, state = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[state]}"))
    return Bars(name, BarColumn(), state, console=Console(stderr=True), transient=transient)


def shown(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """``items``, with a bar once they have taken ``DELAY`` seconds. It joins the bars that are shown already."""
    if _hidden or not sys.stderr.isatty():
        yield from items
        return
    start, bar, task = monotonic(), None, None
    with ExitStack() as stack:
        for done, item in enumerate(items, 1):
            yield item
            if bar is None and monotonic() - start > DELAY:
                bar = _shown[-1] if _shown else stack.enter_context(bars(transient=True))
                task = bar.add_task(what, total=total, state="")
                stack.callback(bar.remove_task, task)
            if bar is not None and task is not None:
                bar.update(task, completed=done, state=f"{done:,} of {total:,}")
