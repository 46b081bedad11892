"""The source that a user's module was executed from: its own file, and what it imports from beside itself.

Numbers are kept under the hash of the code that gives them. That is the code in memory, whatever has become of its
file since, so the hash is taken when the code is executed.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path

INSTALLED = {"site-packages", "dist-packages"}
_recorded: dict[str, str] = {}
_executing: dict[str, bytes] = {}
_beside: dict[str, tuple[Path, str]] = {}
"""Modules that users' modules import from beside themselves: the file, and the sha256 of what was executed."""


@contextmanager
def executing(module: str, source: bytes) -> Iterator[None]:
    """While ``module`` is executed: it is made of ``source``, whatever its file says by now."""
    _executing[module] = source
    try:
        yield
        record(module)
    finally:
        del _executing[module]


def record(module: str) -> str | None:
    """Take the hash of a module that is being executed; ``None`` if it has no file."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    if not file.is_file():
        return None
    source = _executing.get(module) or file.read_bytes()
    for name, path in beside(file, source).items():
        _beside[name] = path, _sha256(path.read_bytes())
    _recorded[module] = _digest(file, source)
    return _recorded[module]


def recorded(module: str) -> str | None:
    """The hash that was taken of a module, if it was and the module is still there."""
    return _recorded.get(module) if module in sys.modules else None


def forget(file: Path) -> None:
    """Let modules be imported again that ``file`` would else be given from memory, though they are others by now.

    These are modules beside other users' files, whose names may stand for others beside this one, and, if one of those
    beside this one has changed, all of these, as they may import each other.
    """
    _, top = _home(file.resolve())
    own = {name for name, (path, _) in _beside.items() if path.is_relative_to(top)}
    changed = any(_changed(*_beside[name]) for name in own)
    for name in set(_beside) - (set() if changed else own):
        drop(name, _beside.pop(name)[0])


def drop(module: str, file: Path) -> None:
    """Have a module made anew from its file: Python's bytecode knows an older file by size and second only."""
    sys.modules.pop(module, None)
    with suppress(OSError, NotImplementedError):  # there may be none, nor a place for any
        Path(importlib.util.cache_from_source(str(file))).unlink()
    importlib.invalidate_caches()


def of_file(file: Path) -> str:
    """The hash that a module would get now: the sha256 of its file or, with modules from beside it, of all of them.

    Raises ``OSError`` if the file cannot be read.
    """
    return _digest(file, file.read_bytes())


def beside(file: Path, source: bytes) -> dict[str, Path]:
    """The modules that ``file`` imports, directly or through each other, from its own folder or package or below.

    By name, in the order of names. They are found in the import statements, wherever these stand: a module that is
    imported by a computed name is not found. Installed packages and the framework do not count.
    """
    found: dict[str, Path] = {}
    todo = [(file.resolve(), source, "")]
    home, top = _home(file.resolve())
    while todo:
        here, text, package = todo.pop()
        for name in _imports(text, package or _package(here, home)):
            path = found.get(name) or _locate(name, [home, here.parent, *_paths_below(top)])
            if name not in found and path and path != file.resolve() and _counts(path, top):
                found[name] = path
                inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
                todo.append((path, path.read_bytes() if path.suffix == ".py" else b"", inside))
    return dict(sorted(found.items()))


def _changed(path: Path, digest: str) -> bool:
    return not path.is_file() or _sha256(path.read_bytes()) != digest


def _digest(file: Path, content: bytes) -> str:
    others = [f"{name} {_sha256(path.read_bytes())}" for name, path in beside(file, content).items()]
    return _sha256("\n".join([_sha256(content), *others]).encode()) if others else _sha256(content)


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()


def _home(file: Path) -> tuple[Path, Path]:
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
