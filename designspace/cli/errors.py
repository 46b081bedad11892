"""The output of commands: errors and warnings of one line each, without a traceback, JSON and tables."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def clean_errors() -> Iterator[None]:
    """Print errors on stderr, one line each, and exit with the status that belongs to them.

    It is 2 for invalid input, such as a component that calls ``sys.exit``, 1 if a file cannot be written, and 130 or
    143 if SIGINT or SIGTERM has interrupted the command.
    """
    from designspace.errors import DataError, SpecError, StorageError
    from designspace.interrupts import EndedError, Interrupted, contained, handled

    said: set[str] = set()

    def say(message: Warning | str, *_: Any) -> None:
        if str(message) not in said:  # matplotlib repeats a warning for each label and format
            said.add(str(message))
            typer.secho(f"warning: {message}", err=True, fg="yellow")

    with handled(), warnings.catch_warnings():
        warnings.showwarning = say  # type: ignore[assignment]
        try:
            with contained():
                yield
        except SpecError as error:
            stop(2, *error.lines)
        except DataError as error:
            stop(2, str(error))
        except EndedError as error:
            stop(2, str(error))
        except StorageError as error:
            stop(1, str(error))
        except Interrupted as interrupted:
            stop(interrupted.status, str(interrupted))


def stop(status: int, *lines: str) -> NoReturn:
    """Print ``lines`` on stderr and exit."""
    for line in lines:
        typer.secho(line, err=True, fg="red")
    raise typer.Exit(status)


def terminal(*, stderr: bool = False) -> Console:
    """A terminal on which the text of users appears as it is, such as a question with square brackets or ``:smile:``.

    Styles are given with ``rich.text.Text`` or ``style=``.
    """
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
