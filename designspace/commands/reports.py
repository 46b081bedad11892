"""The command report: tables, plots and verdicts of what was computed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console

from designspace.commands.errors import stop
from designspace.component import did_you_mean

if TYPE_CHECKING:
    from designspace.report import Study

PAUSE = 1.0
"""Seconds between two looks at whether there are new results."""


def report(names: Sequence[str], out: Path, watch: bool = False) -> None:
    """Write the reports of the ablations called ``names``, or of all that have results under ``out``.

    Several names are merged into one more report. With ``watch``, again whenever there are new results, until all are.
    """
    from designspace.report import find

    known = find(out)
    folders = [folder for name in names for folder in _folders(name, out, known)] or known
    if not folders:
        stop(2, f"{out}: no ablation has results here. Run one first: designspace run ablations/solver_grid.yaml")

    before = _sizes(folders)
    while _write(folders, out, len(names) > 1) and watch:
        while _sizes(folders) == before:
            time.sleep(PAUSE)
        before = _sizes(folders)


def _write(folders: Sequence[Path], out: Path, together: bool) -> bool:
    """Whether more results are to come."""
    from designspace.report import Study, merge, write

    studies = [Study(folder) for folder in folders]
    for study in studies:
        if together:
            write(study)
        else:
            print_report(study)
    if together:
        print_report(merge(studies, out))
    return any(study.waiting for study in studies)


def _sizes(folders: Sequence[Path]) -> list[int]:
    files = [folder / name for folder in folders for name in ("results.jsonl", "failures.jsonl", "ablation.json")]
    return [file.stat().st_size if file.exists() else 0 for file in files]


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


def print_report(study: Study) -> None:
    """Write a report and print its tables and verdicts, and where its files are."""
    from designspace.report import terminal_table, write

    written = write(study)
    Console().print(terminal_table(study))
    for path in written:
        if path.suffix in (".png", ".md"):
            typer.echo(f"{'plot' if path.suffix == '.png' else path.stem}: {path}")
