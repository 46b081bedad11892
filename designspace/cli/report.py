"""The command report: write tables, plots and verdicts of existing results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from designspace.cli.errors import clean_errors, stop, terminal
from designspace.cli.options import Out
from designspace.text import did_you_mean, few

if TYPE_CHECKING:
    from designspace.report import Study
    from designspace.report.entry import Count


class Format(StrEnum):
    """The formats of figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


PAUSE = 1.0
"""Seconds between two checks for new results."""
KINDS = {".png": "plot", ".html": "page"}


def report(
    names: Annotated[
        list[str] | None, typer.Argument(help="Ablations (name or folder), or a folder of several.", show_default=False)
    ] = None,
    out: Out = Path("reports"),
    watch: Annotated[bool, typer.Option(help="Update the report with new results until all are there.")] = False,
    x: Annotated[
        Literal["nfe", "nfe_guidance", "nfe_total"] | None,
        typer.Option(
            help="The evaluations on x axes: nfe, nfe_guidance (of guidance) or nfe_total (all, the default)."
        ),
    ] = None,
    formats: Annotated[
        list[Format] | None,
        typer.Option("--format", help="A format of figures besides PNG. May be repeated.", show_default=False),
    ] = None,
) -> None:
    """Write tables, plots, sample images and verdicts of ablations that have results; by default of all of them.

    The command only reads what runs have written, so it can be used during a run. With several names, it also writes a
    report of all of them together to OUT/A+B, provided that they were measured under the same protocol.

    Verdicts on claims are preliminary while results are missing. --watch may be started before the run: it waits for
    the first result. With it, their p-values and intervals stay valid
    however often they are looked at.

    Example: designspace report solver_grid
    """
    with clean_errors():
        if watch:
            _wait(names or [str(out)], out)
        folders, places = _wanted(names or [], out)
        before = _sizes(folders)
        while _write(folders, out if names and len(names) > 1 else None, places, watch, x, formats or ()):
            while _sizes(folders) == before:
                time.sleep(PAUSE)
            before = _sizes(folders)


def _wait(names: Sequence[str], out: Path) -> None:
    """Wait until all ablations with these names have been started, and say so."""
    from designspace.report import find

    said: list[str] = []
    while missing := [name for name in names if not (_folder(name, out) or find(Path(name)))]:
        if missing != said:
            typer.echo(f"waiting for the first result of {few(missing)}", err=True)
            said = missing
        time.sleep(PAUSE)


def _wanted(names: Sequence[str], out: Path) -> tuple[list[Path], list[Path]]:
    """The folders of the ablations, and the folders in which an overview page is written."""
    from designspace.report import find

    known = find(out)
    folders = [folder for name in names for folder in _folders(name, out, known)] or known
    if not folders:
        stop(2, f"{out}: no ablation has results here. Run one first: designspace run ablations/solver_grid.yaml")
    parents = {folder.parent for folder in folders}
    return folders, [place for place in dict.fromkeys((out, *map(Path, names))) if place in parents]


def _write(
    folders: Sequence[Path],
    together: Path | None,
    places: Sequence[Path],
    watch: bool,
    count: Count | None,
    formats: Sequence[str],
) -> bool:
    """Write all reports, their merged report to the folder ``together`` if it is given, and the overviews.

    Returns whether to continue watching.
    """
    from designspace.report import Study, merge, write

    studies = [Study(folder, count) for folder in folders]
    live = watch and any(study.waiting for study in studies)
    for study in studies:
        if together:
            write(study, live=live, formats=formats)
        else:
            print_report(study, live=live, formats=formats)
    if together:
        print_report(merge(studies, together), live=live, formats=formats)
    for place in places:
        write_overview(place, studies, live=live)
    return live


def _sizes(folders: Sequence[Path]) -> list[int]:
    files = [folder / name for folder in folders for name in ("results.jsonl", "failures.jsonl", "ablation.json")]
    return [file.stat().st_size if file.exists() else 0 for file in files]


def write_overview(place: Path, known: Sequence[Study] = (), *, live: bool = False) -> None:
    """Write the overview page of all ablations in a folder and print its path, or print which packages it needs."""
    from designspace.report import find, html
    from designspace.storage.files import write_whole

    if html.available():
        write_whole(place / "index.html", html.overview(find(place), known, live=live))
        typer.echo(f"all: {place / 'index.html'}")
    else:
        typer.echo(html.NEEDED)


def _folders(name: str, out: Path, known: Sequence[Path]) -> list[Path]:
    """The results folder of the ablation with this name or path, or all results folders in the folder ``name``."""
    from designspace.report import find

    one = _folder(name, out)
    return [one] if one else find(Path(name)) or [_nowhere(name, out, known)]


def folder_of(name: str, out: Path) -> Path:
    """The results folder of the ablation with this name or path; stops the command if there is none."""
    from designspace.report import find

    return _folder(name, out) or _nowhere(name, out, find(out))


def _folder(name: str, out: Path) -> Path | None:
    return next((folder for folder in _places(name, out) if (folder / "ablation.json").is_file()), None)


def _places(name: str, out: Path) -> list[Path]:
    return list(dict.fromkeys((Path(name), out / name)))


def _nowhere(name: str, out: Path, known: Sequence[Path]) -> NoReturn:
    for folder in _places(name, out):
        if (folder / "results.jsonl").is_file():
            stop(2, f"{folder}: has results.jsonl, but no ablation.json, which describes it: run the ablation again")
    near = did_you_mean(name, [folder.name for folder in known])
    stop(2, f"{name}: no results in {' nor in '.join(map(str, _places(name, out)))}.{near}")


def print_report(study: Study, *, live: bool = False, formats: Sequence[str] = ()) -> None:
    """Write a report and print its tables, its verdicts and the paths of its files."""
    from designspace.report import terminal_table, write

    written = write(study, live=live, formats=formats)
    terminal().print(terminal_table(study, live=live))
    for path in written:
        if path.suffix in (".png", ".md", ".html"):
            typer.echo(f"{KINDS.get(path.suffix, path.stem)}: {path}")
