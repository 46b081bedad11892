"""The command check: report everything that is wrong with an ablation, without computing anything."""

from __future__ import annotations

import typer

from designspace.cli.errors import clean_errors
from designspace.cli.options import File, Sets


def check(file: File, set_: Sets = []) -> None:  # noqa: B006  # typer copies it
    """Report everything that is wrong with an ablation, with file, line and column, without computing anything.

    Components that are not built in are checked as well: shapes, inverses, derivatives, decreasing levels and the like.

    Example: designspace check ablations/solver_grid.yaml
    """
    from designspace.run.labels import require_labels
    from designspace.spec import load

    with clean_errors():
        ablation = load(file, set_)
        require_labels(ablation)
        for warning in ablation.warnings:
            typer.secho(warning, err=True, fg="yellow")
        trials = ablation.trials()
        typer.echo(f"{file}: {ablation.name}: {len(ablation.points())} points, {len(trials)} trials")
