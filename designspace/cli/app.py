"""The command line: ``designspace run ablations/solver_grid.yaml``, then ``designspace report solver_grid``.

Each command has a file of its own and imports what it needs only when it is called, so that ``--help`` is fast and
commands that only read results work without PyTorch.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from designspace.cli import (
    best,
    check,
    compare,
    distance,
    doctor,
    export,
    import_,
    list,
    new,
    plot,
    probe,
    report,
    run,
    schema,
    show,
    table,
    train,
    tune,
)

app = typer.Typer(
    help="Design-space ablations of diffusion models: which choice is better, at what cost, and how certain is that?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"designspace {version('designspace')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Compare design choices of diffusion models by Fréchet distance against the number of network evaluations."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without Unicode must not end a command that has computed all
            stream.reconfigure(errors="replace")


app.command()(run.run)
app.command()(tune.tune)
app.command()(check.check)
app.command()(report.report)
app.command()(compare.compare)
app.command()(best.best)
app.command()(train.train)
app.command()(export.export)
app.command("list")(list.list_)
app.command()(show.show)
app.command()(table.table)
app.add_typer(plot.app, name="plot")
app.command()(distance.distance)
app.command()(probe.probe)
app.command("import")(import_.import_)
app.command()(doctor.doctor)
app.command()(new.new)
app.command()(schema.schema)
