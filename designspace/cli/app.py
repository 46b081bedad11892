"""The command line: ``designspace run ablations/solver_grid.yaml``, then ``designspace report solver_grid``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from designspace.cli import compare, doctor, inspect, measure, plot, probe, start, train
from designspace.cli.errors import clean_errors

app = typer.Typer(
    help="Design-space ablations of diffusion models: which choice is better, at what cost, and how sure is that?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
File = Annotated[Path, typer.Argument(help="An ablation, a YAML file.", show_default=False)]
Sets = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a field, as evaluate.images=50.")]
Out = Annotated[Path, typer.Option(help="The folder of all reports.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]


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


@app.command()
def run(
    file: File,
    set_: Sets = [],  # noqa: B006  # typer copies it
    device: Annotated[str, typer.Option(help="Of PyTorch: cpu, cuda, cuda:1.")] = "cpu",
    executor: Annotated[str, typer.Option(help="Where workers run: local, or ray.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="How many share the trials.")] = 1,
    out: Out = Path("reports"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the trials and the time they would take.")] = False,
    json: Json = False,
) -> None:
    """Compute what is not there yet of an ablation. Running again is resuming; a killed run loses one chunk at most.

    Example: designspace run ablations/solver_grid.yaml --set evaluate.images=500 --workers 2

    Exit status: 0 done, 1 some trials failed (the others are kept), 2 wrong input.
    """
    from designspace.cli import runs

    with clean_errors():
        options = runs.Options(device, executor, workers, out, json)
        raise typer.Exit(runs.dry(file, set_, options) if dry_run else runs.run(file, set_, options))


@app.command()
def check(file: File, set_: Sets = []) -> None:  # noqa: B006
    """Read an ablation and say all that is wrong with it, with file, line and column; compute nothing.

    Example: designspace check ablations/solver_grid.yaml
    """
    from designspace.cli import runs

    with clean_errors():
        runs.check(file, set_)


@app.command()
def report(
    names: Annotated[
        list[str] | None, typer.Argument(help="Ablations by name or folder, or a folder of them.", show_default=False)
    ] = None,
    out: Out = Path("reports"),
    watch: Annotated[bool, typer.Option(help="Write again whenever there are new results, until all are.")] = False,
) -> None:
    """Write tables, plots, sample images and verdicts of ablations that have results; without names, of all.

    It reads what runs wrote and computes no image, so it may run while a run goes on. Of several names there is one
    report more, of all of them together, if the same protocol measured them: in OUT/A+B.

    Example: designspace report solver_grid
    """
    from designspace.cli import reports

    with clean_errors():
        reports.report(names or [], out, watch)


app.command()(compare.compare)
app.command()(train.train)
app.command("list")(inspect.list_)
app.command()(inspect.show)
app.command()(inspect.table)
app.add_typer(plot.app, name="plot")
app.command()(measure.distance)
app.command()(probe.probe)
app.command()(doctor.doctor)
app.command()(start.new)
app.command()(start.schema)
