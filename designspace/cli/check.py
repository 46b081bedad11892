"""The command check: report everything that is wrong with an ablation, without running it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from designspace.cli.errors import clean_errors
from designspace.cli.options import File, Sets, load_ablation, require_file
from designspace.text import counted


def check(
    file: File,
    set_: Sets = [],  # noqa: B006  # typer copies it
    no_code: Annotated[
        bool, typer.Option("--no-code", help="Execute no code that the ablation names; say what is not checked then.")
    ] = False,
) -> None:
    """Report everything that is wrong with an ablation, with file, line and column, without running it.

    Components that are not built in are checked as well: shapes, inverses, derivatives, decreasing levels and the like.
    A network of your own is built and called with two images, and a decoder of your own with one latent.

    This executes the files and modules that the ablation names under `components:` and `factory:`, and installed
    plugins; stderr names each before it is executed. For a file from someone else, use --no-code first.

    Example: designspace check ablations/solver_grid.yaml
    """
    require_file(file)
    from designspace.errors import SpecError
    from designspace.registry.execution import withheld
    from designspace.run.labels import require_labels
    from designspace.run.shapes import require_shapes
    from designspace.spec.problems import Problems

    with clean_errors(), withheld() if no_code else nullcontext() as refused:
        ablation = load_ablation(file, set_, None if no_code else [])
        found = f"{file}: {ablation.name}: {counted(len(ablation.points()), 'point')}"
        if refused is None:
            problems = Problems()
            for require in (require_labels, require_shapes):
                with problems.collecting():
                    require(ablation)
            if problems:
                raise SpecError(problems)
            typer.echo(f"{found}, {counted(len(ablation.trials()), 'trial')}")
        else:
            typer.echo(f"{found}; not executed: {', '.join(refused) or 'nothing'}")
