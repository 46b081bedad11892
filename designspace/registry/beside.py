"""The modules that a file imports from beside itself, found in its import statements; nothing is run."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

INSTALLED = {"site-packages", "dist-packages"}


def beside(file: Path, source: bytes) -> dict[str, Path]:
    """The modules that ``file`` imports, directly or through each other, from its own folder or package or below.

    By name, in the order of names. They are found in the import statements, wherever these stand: a module that is
    imported by a computed name is not found. Installed packages and the framework do not count.
    """
    found: dict[str, Path] = {}
    todo = [(file.resolve(), source, "")]
    home, top = home_of(file.resolve())
    while todo:
        here, text, package = todo.pop()
        for name in _imports(text, package or _package(here, home)):
            path = found.get(name) or _locate(name, [home, here.parent, *_paths_below(top)])
            if name not in found and path and path != file.resolve() and _counts(path, top):
                found[name] = path
                inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
                todo.append((path, path.read_bytes() if path.suffix == ".py" else b"", inside))
    return dict(sorted(found.items()))


def home_of(file: Path) -> tuple[Path, Path]:
    """The folder from which ``file`` is imported, and the folder of what is its own: its package or its folder."""
    home, top = file.parent, file.parent
    while (home / "__init__.py").is_file():
        home, top = home.parent, home
    return home, top


def _package(file: Path, home: Path) -> str:
    return ".".join(file.parent.relative_to(home).parts) if file.is_relative_to(home) else ""


def _paths_below(top: Path) -> list[Path]:
    return [path for path in (Path(entry).resolve() for entry in sys.path if entry) if path.is_relative_to(top)]


def _counts(path: Path, top: Path) -> bool:
    return path.is_relative_to(top) and not INSTALLED & {top.name, *path.relative_to(top).parts}


@lru_cache(1024)
def _imports(source: bytes, package: str) -> tuple[str, ...]:
    """The absolute names of modules, and of what may be modules, that import statements name."""
    names: dict[str, None] = {}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # it cannot be imported, so that it has no part in anything
        return ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(dict.fromkeys(part for alias in node.names for part in _with_parents(alias.name)))
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            base = "." * node.level + (node.module or "")
            try:
                module = importlib.util.resolve_name(base, package)
            except ImportError:  # beyond the top: it cannot be imported either
                continue
            names.update(dict.fromkeys([*_with_parents(module), *(f"{module}.{alias.name}" for alias in node.names)]))
    ignored = {"designspace", *sys.stdlib_module_names}
    return tuple(name for name in names if name.partition(".")[0] not in ignored)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _locate(name: str, folders: list[Path]) -> Path | None:
    """The file of a module: of the one that is loaded, so that was got, else of the one that would be found."""
    if loaded := getattr(sys.modules.get(name), "__file__", None):
        return Path(loaded).resolve()
    *parents, last = name.split(".")
    spec = PathFinder.find_spec(last, [str(folder.joinpath(*parents)) for folder in folders])
    return Path(spec.origin).resolve() if spec and spec.has_location and spec.origin else None
