"""The command table: print Table 1 for any designs."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from designspace.cli.errors import clean_errors, terminal
from designspace.cli.options import Designs


def table(
    designs: Designs = None,
    format: Annotated[Literal["text", "markdown", "latex"], typer.Option(help="The output format.")] = "text",
) -> None:
    """Print Table 1 of Karras et al. (2022) for any designs, with formulas. The first design is the baseline.

    Example: designspace table edm vp edm:solver=euler,time_steps.rho=5 ablations/time_steps.yaml --format latex
    """
    from designspace import table as table1
    from designspace.design import preset_names
    from designspace.table.columns import read_columns

    with clean_errors():
        columns = read_columns(designs or preset_names())
        console = terminal()
        if format == "text":
            console.print(table1.terminal(columns, console.width))
        else:
            typer.echo({"markdown": table1.markdown, "latex": table1.latex}[format](columns))
