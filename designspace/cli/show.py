"""The command show: print everything about a component."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import stop, terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from designspace.registry.component import Component


def show(
    name: Annotated[str, typer.Argument(help="A name such as heun, or schedule/vp if several rows share the name.")],
) -> None:
    """Show a component: its formula, its source in the literature, its fields, and the file that defines it.

    Example: designspace show schedule/vp
    """
    from designspace.registry.known import ROWS
    from designspace.text import did_you_mean

    row, _, wanted = name.rpartition("/")
    found = [kind.known[wanted] for key, kind in ROWS.items() if wanted in kind.known and row in ("", key)]
    if not found:
        known = [f"{key}/{n}" if row else n for key, kind in ROWS.items() for n in kind.known]
        stop(2, f"unknown component '{name}'.{did_you_mean(name, known)} See: designspace list")
    console = terminal()
    for cls in found:
        for part in _description(cls):
            console.print(part)


def _description(cls: type[Component]) -> list[RenderableType]:
    """The name, docstring, fields (with type, domain and default) and file of a component."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from designspace.registry.description import fields_of
    from designspace.table.latex import docstring_text

    parts: list[RenderableType] = [Text(f"{cls.row}/{cls.name}", style="bold")]
    for paragraph in docstring_text(inspect.cleandoc(cls.__doc__ or "")).split("\n\n"):
        is_formula = paragraph.startswith("    ")
        text = Text(inspect.cleandoc(paragraph), style="cyan" if is_formula else "")
        parts += [Padding(text, (0, 0, 0, 4 * is_formula), expand=False), Text()]
    if remark := cls.remark():
        parts += [Text(remark), Text()]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for field in fields_of(cls):
        table.add_row(*map(Text, field))
    if table.rows:
        parts += [Text("fields", style="bold"), Padding(table, (0, 0, 0, 2)), Text()]
    return [*parts, Text(f"defined in {inspect.getsourcefile(cls)}", style="dim"), Text()]
