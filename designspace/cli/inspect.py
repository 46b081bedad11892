"""The commands list, show and table: what there is."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from designspace.cli.errors import clean_errors, print_json, stop
from designspace.table.latex import docstring_text

if TYPE_CHECKING:
    from designspace.registry.component import Component

DESIGNS = "Designs: edm, edm:solver=euler,time_steps.rho=5, or ablations, for all of theirs. By default the presets."


def list_(
    row: Annotated[str | None, typer.Argument(help="A row, as solver; without it, all.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
) -> None:
    """List the components of a row, or of all rows: the built-in ones and those of installed plugins.

    Example: designspace list solver
    """
    import designspace  # noqa: F401  # registers the components
    from designspace.registry.known import ROWS
    from designspace.text import did_you_mean

    if row is not None and row not in ROWS:
        stop(2, f"unknown row '{row}'.{did_you_mean(row, ROWS)} Rows: {', '.join(ROWS)}.")
    found = {name: dict(sorted(ROWS[name].known.items())) for name in ([row] if row else ROWS)}
    if json:
        print_json({name: {key: _summary(cls) for key, cls in known.items()} for name, known in found.items()})
        return
    table = Table(box=None, show_header=False)
    for name, known in found.items():
        for i, (key, cls) in enumerate(known.items()):
            table.add_row(Text(name if i == 0 else "", style="bold"), key, Text(_summary(cls)))
    Console().print(table)


def show(name: Annotated[str, typer.Argument(help="heun, or schedule/vp where rows share a name.")]) -> None:
    """Show a component: its formula, its source in the literature, its fields, where it is defined.

    Example: designspace show schedule/vp
    """
    import designspace  # noqa: F401
    from designspace.registry.known import ROWS
    from designspace.text import did_you_mean

    row, _, wanted = name.rpartition("/")
    found = [kind.known[wanted] for key, kind in ROWS.items() if wanted in kind.known and row in ("", key)]
    if not found:
        known = [f"{key}/{n}" if row else n for key, kind in ROWS.items() for n in kind.known]
        stop(2, f"unknown component '{name}'.{did_you_mean(name, known)} See: designspace list")
    console = Console()
    for cls in found:
        for part in _description(cls):
            console.print(part)


def table(
    designs: Annotated[list[str] | None, typer.Argument(help=DESIGNS, show_default=False)] = None,
    format: Annotated[Literal["text", "markdown", "latex"], typer.Option(help="How to print it.")] = "text",
) -> None:
    """Print Table 1 of Karras et al. (2022) for any designs side by side, with formulas. The first is the baseline.

    Example: designspace table edm vp edm:solver=euler,time_steps.rho=5 ablations/time_steps.yaml --format latex
    """
    from designspace import table as table1
    from designspace.design import preset_names
    from designspace.table.columns import read_columns

    with clean_errors():
        columns = read_columns(designs or preset_names())
        console = Console()
        if format == "text":
            console.print(table1.terminal(columns, console.width))
        else:
            typer.echo({"markdown": table1.markdown, "latex": table1.latex}[format](columns))


def _summary(cls: type[Component]) -> str:
    return docstring_text(inspect.cleandoc(cls.__doc__ or "").split("\n")[0])


def _description(cls: type[Component]) -> list[RenderableType]:
    """Name, docstring, fields with type, domain and default, and the file."""
    from designspace.registry.description import fields_of

    parts: list[RenderableType] = [Text(f"{cls.row}/{cls.name}", style="bold")]
    for paragraph in docstring_text(inspect.cleandoc(cls.__doc__ or "")).split("\n\n"):
        is_formula = paragraph.startswith("    ")
        text = Text(inspect.cleandoc(paragraph), style="cyan" if is_formula else "")
        parts += [Padding(text, (0, 0, 0, 4 * is_formula), expand=False), Text()]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for field in fields_of(cls):
        table.add_row(*map(Text, field))
    if table.rows:
        parts += [Text("fields", style="bold"), Padding(table, (0, 0, 0, 2)), Text()]
    return [*parts, Text(f"defined in {inspect.getsourcefile(cls)}", style="dim"), Text()]
