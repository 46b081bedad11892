"""Errors and warnings of commands: one line each, without a traceback."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from designspace.text import clean


@contextmanager
def clean_errors() -> Iterator[None]:
    """Print errors on stderr, one line each, and exit with status 2 (invalid input) or 1 (a file cannot be written)."""
    from designspace.errors import DataError, SpecError, StorageError

    said: set[str] = set()

    def say(message: Warning | str, *_: Any) -> None:
        if str(message) not in said:  # matplotlib repeats a warning for each label and format
            said.add(str(message))
            typer.secho(f"warning: {clean(message)}", err=True, fg="yellow")

    with warnings.catch_warnings():
        warnings.showwarning = say  # type: ignore[assignment]
        try:
            yield
        except SpecError as error:
            stop(2, *error.lines)
        except DataError as error:
            stop(2, str(error))
        except StorageError as error:
            stop(1, str(error))
        except KeyboardInterrupt:
            stop(130, "interrupted; run the same command again to continue")


def stop(status: int, *lines: str) -> NoReturn:
    """Print ``lines`` on stderr and exit."""
    for line in lines:
        typer.secho(clean(line), err=True, fg="red")
    raise typer.Exit(status)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
