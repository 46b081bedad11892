"""Bars and lines on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS = 10.0
"""Between lines about something that goes on."""


def bars() -> Progress:
    """Bars on stderr: each has a description and a field ``state``."""
    name, state = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[state]}"))
    return Progress(name, BarColumn(), state, console=Console(stderr=True))


def seldom() -> Callable[..., bool]:
    """A function that is true at first, then once in ``SECONDS``; and where it is called with ``always=True``."""
    last = -math.inf

    def due(*, always: bool = False) -> bool:
        nonlocal last
        found = always or monotonic() - last > SECONDS
        last = monotonic() if found else last
        return found

    return due


def say(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)
