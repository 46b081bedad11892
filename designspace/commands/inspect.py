"""The commands list, show and table: what there is."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from designspace.commands.errors import clean_errors, print_json, stop


def list_(
    row: Annotated[str | None, typer.Argument(help="A row, as solver; without it, all.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the components of a row, or of all rows: the built-in ones and those of installed plugins.

    Example: designspace list solver
    """
    import designspace  # noqa: F401  # registers the components
    from designspace.component import ROWS, did_you_mean

    if row is not None and row not in ROWS:
        stop(2, f"unknown row '{row}'.{did_you_mean(row, ROWS)} Rows: {', '.join(ROWS)}.")
    rows = {name: ROWS[name] for name in ([row] if row else ROWS)}
    if json:
        print_json({name: sorted(kind.known) for name, kind in rows.items()})
        return
    table = Table(box=None, show_header=False)
    for name, kind in rows.items():
        for i, (component, cls) in enumerate(sorted(kind.known.items())):
            table.add_row(f"[bold]{name}[/]" if i == 0 else "", component, _summary(cls))
    Console().print(table)


def show(name: Annotated[str, typer.Argument(help="heun, or schedule/vp where rows share a name.")]) -> None:
    """Show a component: its formula, its source in the literature, its fields, where it is defined.

    Example: designspace show schedule/vp
    """
    import designspace  # noqa: F401
    from designspace.component import ROWS, did_you_mean

    row, _, wanted = name.rpartition("/")
    found = [k.known[wanted] for r, k in ROWS.items() if wanted in k.known and row in ("", r)]
    if not found:
        known = [f"{r}/{n}" if row else n for r, k in ROWS.items() for n in k.known]
        stop(2, f"unknown component '{name}'.{did_you_mean(name, known)} See: designspace list")
    for cls in found:
        typer.secho(f"{cls.row}/{cls.name}", bold=True)
        typer.echo(inspect.cleandoc(cls.__doc__ or ""))
        for field, about in cls.model_fields.items():
            default = "required" if about.is_required() else f"default {about.get_default(call_default_factory=True)}"
            limits = f", {', '.join(map(str, about.metadata))}" if about.metadata else ""
            typer.echo(f"  {field}: {default}{limits}")
        typer.echo(f"  defined in {inspect.getsourcefile(cls)}\n")


def table(
    presets: Annotated[list[str] | None, typer.Argument(help="Presets; without them, all.", show_default=False)] = None,
    format: Annotated[Literal["text", "markdown"], typer.Option(help="How to print it.")] = "text",
) -> None:
    """Print Table 1 of Karras et al. (2022) for presets side by side, with formulas.

    Example: designspace table edm vp --format markdown
    """
    from designspace.design import preset_names
    from designspace.table import columns, markdown, rich_table

    with clean_errors():
        unknown = [name for name in presets or [] if name not in preset_names()]
        if unknown:
            stop(2, f"unknown preset '{unknown[0]}'. Known: {', '.join(preset_names())}.")
        content = columns(presets or preset_names())
        typer.echo(markdown(content)) if format == "markdown" else Console().print(rich_table(content))


def _summary(cls: type[Any]) -> str:
    return inspect.cleandoc(cls.__doc__ or "").split("\n")[0].replace("``", "")
