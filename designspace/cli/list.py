"""The command list: list the available components."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import clean_errors, print_json, stop, terminal
from designspace.cli.options import Json

if TYPE_CHECKING:
    from designspace.registry.component import Component

ABLATIONS = "ablations"


def list_(
    row: Annotated[
        str | None,
        typer.Argument(help="A row, for instance solver, or ablations. Default: all rows.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """List the components of a row or of all rows, both built-in ones and those of installed plugins.

    `ablations` lists the ablations that come with the package, with their questions.

    Example: designspace list solver
    """
    from rich.table import Table
    from rich.text import Text

    found = {row: _questions()} if row == ABLATIONS else _components(row)
    if json:
        print_json(found)
        return
    table = Table(box=None, show_header=False)
    for name, known in found.items():
        for i, (key, summary) in enumerate(known.items()):
            table.add_row(Text(name if i == 0 else "", style="bold"), key, Text(summary))
    terminal().print(table)


def _questions() -> dict[str, str]:
    """The questions of the included ablations, by their names."""
    from ruamel.yaml import YAML

    from designspace.storage.included import included, included_names

    read = YAML(typ="safe", pure=True).load
    return {name: read((included() / f"{name}.yaml").read_text("utf-8"))["question"] for name in included_names()}


def _components(row: str | None) -> dict[str, dict[str, str]]:
    from designspace.registry.known import ROWS
    from designspace.text import did_you_mean

    if row is not None and row not in ROWS:
        known = [*ROWS, ABLATIONS]
        stop(2, f"unknown row '{row}'.{did_you_mean(row, known)} Rows: {', '.join(ROWS)}.")
    with clean_errors():
        return {name: _summaries(ROWS[name]) for name in ([row] if row else ROWS)}


def _summaries(row: type[Component]) -> dict[str, str]:
    """The first line about each component by its name, and which one each alias means."""
    return {name: _summary(name, row.known[name]) for name in row.known.names()}


def _summary(name: str, cls: type[Component]) -> str:
    from designspace.table.latex import docstring_text

    return (
        f"Another name of {cls.name}."
        if name != cls.name
        else docstring_text(inspect.cleandoc(cls.__doc__ or "").split("\n")[0])
    )
