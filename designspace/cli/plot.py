"""The command plot: draw figures of designs, which need no results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from designspace.cli.errors import clean_errors, stop
from designspace.cli.options import OUTPUT, Designs

app = typer.Typer(help="Draw designs. Example: designspace plot rows edm vp", no_args_is_help=True)


@app.callback()
def plot() -> None:
    """Draw the rows of designs. To draw results, use the command report.

    Example: designspace plot rows edm vp ve iddpm
    """


@app.command()
def rows(
    designs: Designs = None,
    num_steps: Annotated[int, typer.Option(min=2, max=10_000, help="The number of time steps N.")] = 18,
    output: Annotated[Path, typer.Option(*OUTPUT, "--out", help="The folder of the figures.")] = Path(),
) -> None:
    """Draw the rows of Table 1: schedule and scaling, time steps, preconditioning, and noise levels in training.

    Writes rows_schedule, rows_time_steps, rows_preconditioning and rows_training as .png, .svg and .pdf. Designs whose
    curves are all equal in a figure share one entry of its legend.

    Example: designspace plot rows edm vp edm:time_steps.rho=3 --num-steps 10 -o figures
    """
    from designspace.design import preset_names
    from designspace.drawing.files import FORMATS, saved, settle
    from designspace.drawing.look import style
    from designspace.plots import curves_of, figures
    from designspace.storage.files import write_whole
    from designspace.table.columns import read_columns

    with clean_errors():
        columns = read_columns(designs or preset_names())
        try:
            curves = curves_of(columns, num_steps)
        except ValueError as error:
            stop(2, f"--num-steps {num_steps}: {error}")
        with style():
            for name, figure in figures(curves):
                settle(figure)
                for kind in FORMATS:
                    write_whole(output / f"rows_{name}.{kind}", saved(figure, kind))
                    typer.echo(output / f"rows_{name}.{kind}")
