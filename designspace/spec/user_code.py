"""The ``components:`` of a spec: import the user's own files and modules, and say where they fail."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from designspace.errors import brief
from designspace.registry.discovery import import_user
from designspace.spec.errors import BadValueError
from designspace.text import did_you_mean

OURS = str(Path(__file__).parents[1])


def import_all(names: Sequence[str], folder: Path) -> Iterator[BadValueError]:
    """Import each of a spec's ``components``; what fails is given with the file and line inside it."""
    for i, name in enumerate(names):
        try:
            import_user(name, relative_to=folder)
        except (Exception, SystemExit) as error:
            yield BadValueError(("components", i), _what(name, error, folder))


def _what(name: str, error: BaseException, folder: Path) -> str:
    where = _line_of(error)
    if where:
        return f"{name} fails: {brief(error)} ({where})"
    near = did_you_mean(Path(name).name, [file.name for file in (folder / name).parent.glob("*.py")])
    return f"{error}.{near if name.endswith('.py') else ''}"


def _line_of(error: BaseException) -> str:
    """The last line of the user's own file that was running, or nothing if none was."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_machinery(f.filename)]
    inside = [f for f in frames if f.filename == frames[0].filename]
    return f"{inside[-1].filename}:{inside[-1].lineno}" if inside else ""


def _is_machinery(file: str) -> bool:
    return file.startswith(("<", OURS)) or Path(file).parent.name == "importlib"
