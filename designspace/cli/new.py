"""The command new: create a project to start from."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from designspace.cli.errors import clean_errors, stop

TEMPLATES = Path(__file__).parent / "templates"
FILES = ("ablation.yaml", "my_steps.py", "my_schedule.py")


def new(folder: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)]) -> None:
    """Create a small project that runs: a commented ablation with time steps and a schedule of your own.

    Example: designspace new my_study && designspace run my_study/ablation.yaml
    """
    from designspace.storage.files import write_whole
    from designspace.storage.locks import storing

    with clean_errors(), storing(folder):
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            stop(2, f"{folder}: already exists and is not an empty folder")
        name = folder.resolve().name
        for file in FILES:
            text = (TEMPLATES / file).read_text("utf-8")
            if re.fullmatch(r"[A-Za-z]\w{,99}", name) and name.lower() not in ("true", "false", "null"):
                text = text.replace("name: my_study", f"name: {name}")
            write_whole(folder / file, text.encode())
    typer.echo(f"created: {', '.join(str(folder / file) for file in FILES)}")
    typer.echo(f"next: designspace run {_in_a_shell(folder / 'ablation.yaml')}")


def _in_a_shell(path: Path) -> str:
    """A path as an argument in a shell, where it is neither split nor taken for an option."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))
