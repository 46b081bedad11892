"""The command show: print everything about a component, or what a component of a row has to define."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import clean_errors, stop, terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from designspace.registry.component import Component


def show(
    name: Annotated[
        str, typer.Argument(help="A row such as schedule, or a component: heun, or schedule/vp if rows share the name.")
    ],
) -> None:
    """Show a component: its formula, its source in the literature, its fields, and the file that defines it.

    For a row, show what a class of your own has to define and what it may define.

    Example: designspace show schedule/vp; designspace show schedule
    """
    with clean_errors():
        console = terminal()
        for part in _parts(name):
            console.print(part)


def _parts(name: str) -> list[RenderableType]:
    """The description of the row that is called ``name``, or of the components that are."""
    from designspace.registry.known import ROWS
    from designspace.text import did_you_mean

    row, _, wanted = name.rpartition("/")
    if name in ROWS:
        return list(_row(ROWS[name]))
    found = [kind.known[wanted] for key, kind in ROWS.items() if wanted in kind.known and row in ("", key)]
    if not found:
        known = [f"{key}/{n}" if row else n for key, kind in ROWS.items() for n in kind.known.names()]
        stop(2, f"unknown component '{name}'.{did_you_mean(name, [*ROWS, *known])} See: designspace list")
    return [part for cls in found for part in _component(cls)]


def _row(kind: type[Component]) -> Iterator[RenderableType]:
    """The name, docstring and members of a row, and the classes from which a component may be derived instead."""
    from rich.padding import Padding
    from rich.text import Text

    known = sorted(kind.known)  # imports all components and the bases of each
    yield Text(f"the row {kind.row}", style="bold")
    yield from _docstring(kind.__doc__)
    yield Text(f'class Mine({kind.__name__}, name="mine")', style="cyan")
    yield Text()
    yield from _members(kind, "has to define", required=True)
    yield from _members(kind, "may define", required=False)
    for base in _bases(kind):
        yield Padding(Text(f"from {base.__module__} import {base.__name__}", style="cyan"), (0, 0, 1, 0))
        yield from _docstring(base.__doc__)
        yield from _members(base, "has to define", required=True)
    if known:
        yield Text(f"components: {', '.join(known)}")


def _bases(kind: type[Component]) -> Iterator[type[Component]]:
    """The abstract subclasses of a row that have members of their own for classes to define."""
    from designspace.registry.description import members_of

    for cls in kind.__subclasses__():
        if inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            if any(member.required for member in members_of(cls)):
                yield cls
            yield from _bases(cls)


def _members(cls: type[Component], title: str, *, required: bool) -> Iterator[RenderableType]:
    """The signatures of the members that a class has to define, or those that it may define, below a title."""
    from rich.padding import Padding
    from rich.text import Text

    from designspace.registry.description import members_of
    from designspace.table.latex import docstring_text

    chosen = [member for member in members_of(cls) if member.required is required]
    if chosen:
        yield Text(title, style="bold")
    for member in chosen:
        yield Padding(Text(member.signature, style="cyan"), (0, 0, 0, 2))
        yield Padding(Text(docstring_text(member.doc)), (0, 0, 0, 6))
    if chosen:
        yield Text()


def _docstring(doc: str | None) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from designspace.table.latex import docstring_text

    for paragraph in docstring_text(inspect.cleandoc(doc or "")).split("\n\n"):
        is_formula = paragraph.startswith("    ")
        text = Text(inspect.cleandoc(paragraph), style="cyan" if is_formula else "")
        yield Padding(text, (0, 0, 0, 4 * is_formula), expand=False)
        yield Text()


def _component(cls: type[Component]) -> Iterator[RenderableType]:
    """The name, docstring, fields (with type, domain and default) and file of a component."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from designspace.registry.description import fields_of

    yield Text(f"{cls.row}/{cls.name}", style="bold")
    if aliases := cls.known.aliases_of(cls):
        yield from (Text(f"also called {' and '.join(aliases)}"), Text())
    yield from _docstring(cls.__doc__)
    if remark := cls.remark():
        yield from (Text(remark), Text())
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for field in fields_of(cls):
        table.add_row(*map(Text, field))
    if table.rows:
        yield from (Text("fields", style="bold"), Padding(table, (0, 0, 0, 2)), Text())
    yield from (Text(f"defined in {inspect.getsourcefile(cls)}", style="dim"), Text())
