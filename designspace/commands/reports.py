"""The command report: tables, plots and verdicts of what was computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from designspace.commands.errors import stop
from designspace.component import did_you_mean


def report(names: Sequence[str], out: Path) -> None:
    """Write the reports of the ablations called ``names``, or of all that have results under ``out``."""
    from designspace.report import find

    known = find(out)
    folders = [folder for name in names for folder in _folders(name, out, known)] or known
    if not folders:
        stop(2, f"{out}: no ablation has results here. Run one first: designspace run ablations/solver_grid.yaml")
    for folder in folders:
        print_report(folder)


def _folders(name: str, out: Path, known: Sequence[Path]) -> list[Path]:
    """The folder of an ablation's results, by its name or path; or all in the folder ``name``."""
    from designspace.report import find

    places = list(dict.fromkeys((Path(name), out / name)))
    for folder in places:
        if (folder / "ablation.json").is_file():
            return [folder]
    if below := find(Path(name)):
        return below
    near = did_you_mean(name, [folder.name for folder in known])
    stop(2, f"{name}: no results in {' nor in '.join(map(str, places))}.{near}")


def print_report(folder: Path) -> None:
    """Write the report of an ablation and print its tables and verdicts, and where the plots are."""
    from designspace.report import Study, terminal_table, write

    study = Study(folder)
    written = write(study)
    Console().print(terminal_table(study))
    for path in written:
        if path.suffix in (".png", ".md"):
            typer.echo(f"{'plot' if path.suffix == '.png' else path.stem}: {path}")
