"""The gate in front of code that does not belong to this package.

Specs name files and modules that define components (``components:``) or make networks (``factory:``), and installed
plugins are imported when a name is not built in. Before such code is executed, ``about_to_execute`` logs its name,
which the command line shows on stderr, or, within ``withheld``, refuses it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from designspace.errors import WithheldError
from designspace.text import one_line

LOG = logging.getLogger("designspace.execution")
"""Logs one line of level INFO before each file or module of the user is executed."""

_withheld: ContextVar[list[str] | None] = ContextVar("withheld", default=None)


@contextmanager
def withheld() -> Iterator[list[str]]:
    """Within the block, no code outside this package is executed; yields a list that grows by what would have been."""
    refused: list[str] = []
    token = _withheld.set(refused)
    try:
        yield refused
    finally:
        _withheld.reset(token)


def not_executed() -> list[str]:
    """The code that the surrounding block ``withheld`` has refused to execute so far."""
    return _withheld.get() or []


def about_to_execute(code: Path | str, purpose: str) -> None:
    """Log that a file or module is executed next, for instance ``executing ./mine.py (components)``.

    Raises ``WithheldError`` within ``withheld``.
    """
    name = one_line(_shown(code) if isinstance(code, Path) else code)
    if (refused := _withheld.get()) is None:
        LOG.info("executing %s (%s)", name, purpose)
        return
    if name not in refused:
        refused.append(name)
    raise WithheldError(f"not checked: needs {name}, which is not executed")


def _shown(file: Path) -> str:
    """The path of a file, relative to the working directory if it lies below."""
    with suppress(ValueError, OSError):
        return f"./{file.relative_to(Path.cwd())}"
    return str(file)
