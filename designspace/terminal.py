"""Progress bars and lines on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS = 10.0
"""Time between lines about something that is still going on."""


def bars() -> Progress:
    """Progress bars on stderr, each with a description and a field ``state``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    name, state = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[state]}"))
    return Progress(name, BarColumn(), state, console=Console(stderr=True))


def seldom() -> Callable[..., bool]:
    """A function that is true when first called, then once every ``SECONDS``, and always with ``always=True``."""
    last = -math.inf

    def due(*, always: bool = False) -> bool:
        nonlocal last
        found = always or monotonic() - last > SECONDS
        last = monotonic() if found else last
        return found

    return due


def say(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)
