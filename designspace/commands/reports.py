"""The command report: tables, plots and verdicts of what was computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console

from designspace.commands.errors import stop
from designspace.component import did_you_mean

KINDS = {".png": "plot", ".html": "page"}


def report(names: Sequence[str], out: Path) -> None:
    """Write the reports of the ablations called ``names``, or of all that have results under ``out``."""
    from designspace.report import find, html

    known = find(out)
    folders = [folder for name in names for folder in _folders(name, out, known)] or known
    if not folders:
        stop(2, f"{out}: no ablation has results here. Run one first: designspace run ablations/solver_grid.yaml")
    for folder in folders:
        print_report(folder)
    for place in dict.fromkeys((out, *map(Path, names))):
        if place in {folder.parent for folder in folders}:
            write_overview(place)
    if not html.available():
        typer.echo(html.NEEDED)


def write_overview(place: Path) -> None:
    """Write the page of all ablations in a folder, and print where it is; without the packages for pages, nothing."""
    from designspace.files import write_whole
    from designspace.report import find, html

    if html.available():
        write_whole(place / "index.html", html.overview(find(place)))
        typer.echo(f"all: {place / 'index.html'}")


def _folders(name: str, out: Path, known: Sequence[Path]) -> list[Path]:
    """The folder of an ablation's results, by its name or path; or all in the folder ``name``."""
    from designspace.report import find

    one = _folder(name, out)
    return [one] if one else find(Path(name)) or [_nowhere(name, out, known)]


def folder_of(name: str, out: Path) -> Path:
    """The folder of an ablation's results, by its name or path; an error ends the command."""
    from designspace.report import find

    return _folder(name, out) or _nowhere(name, out, find(out))


def _folder(name: str, out: Path) -> Path | None:
    return next((folder for folder in _places(name, out) if (folder / "ablation.json").is_file()), None)


def _places(name: str, out: Path) -> list[Path]:
    return list(dict.fromkeys((Path(name), out / name)))


def _nowhere(name: str, out: Path, known: Sequence[Path]) -> NoReturn:
    near = did_you_mean(name, [folder.name for folder in known])
    stop(2, f"{name}: no results in {' nor in '.join(map(str, _places(name, out)))}.{near}")


def print_report(folder: Path) -> None:
    """Write the report of an ablation and print its tables and verdicts, and where the plots are."""
    from designspace.report import Study, terminal_table, write

    study = Study(folder)
    written = write(study)
    Console().print(terminal_table(study))
    for path in written:
        if path.suffix in (".png", ".md", ".html"):
            typer.echo(f"{KINDS.get(path.suffix, path.stem)}: {path}")
