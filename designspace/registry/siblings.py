"""Imports of the modules beside a user's file, which need not be on Python's path."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from designspace.registry import sources


class _Siblings(MetaPathFinder):
    """Finds the modules and packages beside the users' files that were imported last."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        """The folder of each of them, by the name under which it is imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The specification of such a module; ``None`` for others and for modules in packages."""
        if path is not None or name not in self.folders:
            return None
        return PathFinder.find_spec(name, [str(self.folders[name])])


_SIBLINGS = _Siblings()


def make_importable(file: Path, source: bytes) -> None:
    """Let ``file``, and the modules beside it, import what is beside ``file``.

    Only names in import statements are looked up there, so that other code imports what it would without them. Raises
    ``ImportError`` if Python has another module of the same name, since either may be meant.
    """
    home, _ = sources.home_of(file)
    for name in sorted(sources.imported(file, source) - {"designspace"}):
        _SIBLINGS.folders.pop(name, None)
        for folder in dict.fromkeys((home, file.parent)):
            found = PathFinder.find_spec(name, [str(folder)])
            other = _elsewhere(name, found.origin) if found else ""
            if found and found.has_location and other:
                raise ImportError(f"'{name}' is both {found.origin} and {other}: rename the first")
            if found and not other:  # a folder without __init__.py is a package only if nothing else has its name
                _SIBLINGS.folders[name] = folder
                break
    if _SIBLINGS not in sys.meta_path:
        sys.meta_path.insert(0, _SIBLINGS)


def _elsewhere(name: str, file: str | None) -> str:
    """Which other module than that in ``file`` Python has under this name; empty if none."""
    if name in sys.stdlib_module_names:
        return "a module of Python's standard library"
    place = getattr(sys.modules.get(name), "__file__", None)
    if not place:
        installed = [entry for entry in sys.path if sources.INSTALLED & {*Path(entry).parts}]
        spec = PathFinder.find_spec(name, installed)
        place = spec.origin if spec else None
    return f"a module in {place}" if place and Path(place).resolve() != Path(file or "").resolve() else ""
