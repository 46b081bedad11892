"""The command best: the table of best practices from the results of any number of ablations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from designspace.cli.errors import clean_errors, terminal
from designspace.cli.options import OUTPUT, Out


def best(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of results, or folders of several. Default: all in OUT.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            *OUTPUT,
            help="The folder for best.md, best.csv, best.html and the figures.",
            show_default="OUT/best_practices",
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="The metric to judge by.")] = "frechet",
    out: Out = Path("reports"),
) -> None:
    """Write the table of best practices: what ablations say about each row, against the choice of the EDM paper.

    For each row: what was tried, what is favoured at each budget, the change against the paper's choice with its
    interval, whether the results agree with the paper or contradict it, on which model, and what would decide it. Only
    existing results are read. There is one table per protocol and data set, because their values cannot be compared.

    Example: designspace best reports/solver_grid reports/time_steps --output practices
    """
    from designspace.report.best import best as found_in
    from designspace.report.tables.terminal import terminal_best

    with clean_errors():
        found = found_in(folders or [out], metric)
        written = found.write(output or out / "best_practices")
        terminal().print(terminal_best(found.sheets))
        for path in written:
            typer.echo(path)
