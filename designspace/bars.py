"""Progress bars: on stderr, if that is a terminal, or below the cell of a notebook."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
DELAY = 2.0
"""The time in seconds after which ``shown`` shows its bar."""
PAUSE = 0.2
"""The time in seconds between two updates below a cell."""
BETWEEN_LINES = 10.0
"""The time in seconds between two lines of ``shown`` where there is no terminal."""
LENGTH = 24
"""The length in characters of a bar below a cell."""
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


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: IPython is imported, and its shell has a kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class Cell:
    """Lines of text below the cell of a notebook, which are replaced as the work goes on."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = -math.inf

    def show(self, lines: Sequence[str], *, always: bool = False) -> None:
        """Show these lines, unless the last ones were shown less than ``PAUSE`` ago."""
        if not always and monotonic() - self._last < PAUSE:
            return
        self._last, text = monotonic(), {"text/plain": "\n".join(lines)}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(text, raw=True, display_id=True)
        else:
            self._handle.update(text, raw=True)


def line(what: str, share: float, state: str) -> str:
    """A bar as text, filled to a share of its length: ``heun  ████████················  chunk 1/3``."""
    full = round(LENGTH * min(max(share, 0.0), 1.0))
    return f"{what}  {'█' * full}{'·' * (LENGTH - full)}  {state}".rstrip()


def shown(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """``items``, with a bar once they have taken ``DELAY`` seconds. It joins the bars that are shown already.

    If stderr is not a terminal, there is a line every ``BETWEEN_LINES`` seconds instead.
    """
    if _hidden or not (in_notebook() or sys.stderr.isatty()):
        yield from items if _hidden else _in_lines(items, what, total)
        return
    if in_notebook():
        yield from _below_the_cell(items, what, total)
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


def _in_lines(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    last = monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if monotonic() - last > BETWEEN_LINES:
            last = monotonic()
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def _below_the_cell(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    start, cell = monotonic(), Cell()
    for done, item in enumerate(items, 1):
        yield item
        if monotonic() - start > DELAY:
            cell.show([line(what, done / max(total, 1), f"{done:,} of {total:,}")], always=done == total)
