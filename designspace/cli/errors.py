"""The output of commands: errors and warnings of one line each, without a traceback, JSON and tables."""

from __future__ import annotations

import errno
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from designspace.text import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

EXECUTION = "designspace.execution"
"""The log of ``registry.execution``, by its name, since importing the registry takes time."""
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""The errors of a full or broken file, such as the one to which the output goes."""


@contextmanager
def clean_errors() -> Iterator[None]:
    """Print errors on stderr, one line each, and exit with the status that belongs to them.

    It is 2 for invalid input, such as a component that calls ``sys.exit``, 1 if a file cannot be written or workers
    cannot go on, and 128 plus the number of a signal that has interrupted the command.
    """
    from designspace.errors import DataError, PluginError, SpecError, StorageError, WorkerError
    from designspace.interrupts import EndedError, Interrupted, contained, handled

    said: set[str] = set()

    def say(message: Warning | str, *_: Any) -> None:
        if str(message) not in said:  # matplotlib repeats a warning for each label and format
            said.add(str(message))
            typer.secho(f"warning: {clean(message)}", err=True, fg="yellow")

    with handled(), warnings.catch_warnings(), _shown(logging.getLogger(EXECUTION)):
        warnings.showwarning = say  # type: ignore[assignment]
        try:
            with contained():
                yield
        except SpecError as error:
            stop(2, *error.lines)
        except (DataError, PluginError, EndedError) as error:
            if error.__cause__ and isinstance(error.__cause__.__context__, BrokenPipeError):
                raise typer.Exit(1) from error  # whoever reads the output, such as head, has enough; so does rich
            stop(2, str(error))
        except (StorageError, WorkerError) as error:
            stop(1, str(error))
        except OSError as error:
            if error.errno not in UNWRITABLE or error.filename is not None:
                raise
            with suppress(OSError):
                sys.stdout.close()  # otherwise Python tries to write the rest at its end
            stop(1, f"cannot write to standard output: {error.strerror}")
        except Interrupted as interrupted:
            stop(interrupted.status, str(interrupted))


@contextmanager
def _shown(log: logging.Logger) -> Iterator[None]:
    """Print each distinct message of ``log`` once on stderr."""
    said: set[str] = set()

    class Printed(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (line := record.getMessage()) not in said:
                said.add(line)
                typer.echo(line, err=True)

    handler, level, propagate = Printed(), log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


def stop(status: int, *lines: str) -> NoReturn:
    """Print ``lines`` on stderr and exit."""
    for line in lines:
        typer.secho(clean(line), err=True, fg="red")
    raise typer.Exit(status)


def terminal(*, stderr: bool = False) -> Console:
    """A terminal on which the text of users appears as it is, such as a question with square brackets or ``:smile:``.

    Characters that control a terminal are shown as escapes. Styles are given with ``rich.text.Text`` or ``style=``.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Cleaned(Console):
        def render_str(self, text: str, **options: Any) -> Text:  # before the widths of columns are measured
            return super().render_str(_clean_lines(text), **options)

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else _clean_lines(text), style, control)

    return Cleaned(stderr=stderr, markup=False, emoji=False, highlight=False)


def _clean_lines(text: str) -> str:
    return "\n".join(map(clean, text.split("\n")))


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout; where stdout is not UTF-8, other characters are escaped."""
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    typer.echo(json.dumps(value, indent=1, ensure_ascii=ascii_only, allow_nan=False))
