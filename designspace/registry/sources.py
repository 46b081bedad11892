"""Hashes of the source of users' code, which identify the numbers that the code gives.

The hash of a module is taken when the module is executed, so that later changes of its file have no effect. The hash
also covers the modules beside that module, that is, those that it imports from its own folder or package; they are
found in its import statements without running anything. A class that is defined in a notebook is identified by its
cell and by what it uses of others; see ``registry.cells``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import linecache
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path

from designspace.registry.cells import Cell, hashed

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of installed packages, which are not a user's own code."""
IGNORED = {"designspace", *sys.stdlib_module_names}
"""Modules that are never beside a user's file."""


_recorded: dict[str, str] = {}
_executing: dict[str, bytes] = {}
_beside: dict[str, tuple[Path, str]] = {}
"""The modules beside users' modules, by name: the file of each, and the sha256 of the source that was executed."""


def defining(module: str, name: str) -> str | Cell | None:
    """The hash of the code that defines the class ``name`` in ``module`` right now, or its cell of a notebook.

    ``None`` if its source cannot be read.
    """
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__name__") != module:
        frame = frame.f_back
    place = frame.f_code.co_filename if frame else ""
    if (not frame or Path(place).is_file()) and (found := record(module)):
        return found
    cell = "".join(linecache.getlines(place))
    return Cell(name, cell, frame.f_globals) if frame and cell else None


@contextmanager
def executing(module: str, source: bytes) -> Iterator[None]:
    """Within the block, ``module`` counts as executed from ``source``, even if its file has changed since."""
    _executing[module] = source
    try:
        yield
        record(module)
    finally:
        del _executing[module]


def record(module: str) -> str | None:
    """Take and return the hash of a module that is being executed; ``None`` if it has no file."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    if not file.is_file():
        return None
    source = _executing.get(module) or file.read_bytes()
    if not INSTALLED & {*file.parts}:  # an installed package is never imported again: its extensions may not survive it
        for name, path in beside(file, source).items():
            _beside[name] = path, _sha256(path.read_bytes())
    _recorded[module] = _digest(file, source)
    return _recorded[module]


def recorded(module: str) -> str | None:
    """The hash that was taken of a module, if one was and the module is still loaded."""
    return _recorded.get(module) if module in sys.modules else None


def forget(file: Path) -> None:
    """Drop the loaded modules that ``file`` must not reuse when it is executed again.

    Modules beside other files are dropped, since their names may refer to different modules here. If any module beside
    ``file`` has changed, all modules beside it are dropped, since they may import each other.
    """
    _, top = home_of(file.resolve())
    own = {name for name, (path, _) in _beside.items() if path.is_relative_to(top)}
    changed = any(_changed(*_beside[name]) for name in own)
    for name in set(_beside) - (set() if changed else own):
        drop(name, _beside.pop(name)[0])


def drop(module: str, file: Path) -> None:
    """Make sure that a module is imported anew from its source.

    Its bytecode is deleted too, because Python recognises outdated bytecode only by the size of the source and the time
    of its last change in whole seconds.
    """
    sys.modules.pop(module, None)
    with suppress(OSError, NotImplementedError):  # there may be no bytecode, or no place for it
        Path(importlib.util.cache_from_source(str(file))).unlink()
    importlib.invalidate_caches()


def of_file(file: Path) -> str:
    """The hash that a module would get now: the sha256 of its file or, with modules beside it, of all of them.

    Raises ``OSError`` if the file cannot be read.
    """
    return _digest(file, file.read_bytes())


def beside(file: Path, source: bytes) -> dict[str, Path]:
    """The modules that ``file`` imports, directly or indirectly, from its own folder or package.

    They are given by name and sorted. Import statements are found anywhere in the code, but a module that is imported
    under a computed name is missed. Installed packages and the framework itself are left out.
    """
    found, tried = dict[str, Path](), set[tuple[str, Path]]()
    todo = [(file.resolve(), source, "")]
    home, top = home_of(file.resolve())
    further = _paths_below(top)
    while todo:
        here, text, package = todo.pop()
        for name in _imports(text, package or _package(here, home)):
            if name in found or (name, here.parent) in tried or name.partition(".")[0] in IGNORED:
                continue
            tried.add((name, here.parent))
            path = _locate(name, [home, here.parent, *further])
            if path and path != file.resolve() and _counts(path, top):
                found[name] = path
                inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
                todo.append((path, path.read_bytes() if path.suffix == ".py" else b"", inside))
    return dict(sorted(found.items()))


def imported(file: Path, source: bytes) -> set[str]:
    """The first parts of the names that ``file``, and the modules beside it, import."""
    home, _ = home_of(file)
    texts = [(file, source), *((path, path.read_bytes()) for path in beside(file, source).values())]
    names = {name for path, text in texts if path.suffix == ".py" for name in _imports(text, _package(path, home))}
    return {name.partition(".")[0] for name in names}


def home_of(file: Path) -> tuple[Path, Path]:
    """The folder from which ``file`` is imported, and the folder of its own code: its top package, or its folder."""
    home, top = file.parent, file.parent
    while (home / "__init__.py").is_file():
        home, top = home.parent, home
    return home, top


def package_of(file: Path) -> str:
    """The name of the package that ``file`` is in; empty if it is in none."""
    return _package(file, home_of(file)[0])


def _package(file: Path, home: Path) -> str:
    return ".".join(file.parent.relative_to(home).parts) if file.is_relative_to(home) else ""


def _paths_below(top: Path) -> list[Path]:
    return [path for path in (Path(entry).resolve() for entry in sys.path if entry) if path.is_relative_to(top)]


def _counts(path: Path, top: Path) -> bool:
    return path.is_relative_to(top) and not INSTALLED & {top.name, *path.relative_to(top).parts}


@lru_cache(1024)
def _imports(source: bytes, package: str) -> tuple[str, ...]:
    """The absolute names of the modules in import statements, and of imported names that may be modules."""
    names: dict[str, None] = {}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # it cannot be imported, so nothing can depend on it
        return ()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(dict.fromkeys(part for alias in node.names for part in _with_parents(alias.name)))
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            base = "." * node.level + (node.module or "")
            try:
                module = importlib.util.resolve_name(base, package)
            except ImportError:  # a relative import beyond the top package, which would fail
                continue
            names.update(dict.fromkeys([*_with_parents(module), *(f"{module}.{alias.name}" for alias in node.names)]))
    return tuple(names)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """``tree`` and the statements in it, in the order of ``ast.walk``. Expressions, most of a tree, hold none."""
    todo = deque([tree])
    while todo:
        node = todo.popleft()
        for block in ("cases", "body", "handlers", "orelse", "finalbody"):
            inside = getattr(node, block, ())
            todo.extend(inside if isinstance(inside, list) else ())  # those of a lambda and of `a if b else c` are not
        yield node


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _locate(name: str, folders: list[Path]) -> Path | None:
    """The file of a module: the one that was loaded or, if none was yet, the one that would be found."""
    if loaded := getattr(sys.modules.get(name), "__file__", None):
        return Path(loaded).resolve()
    *parents, last = name.split(".")
    spec = PathFinder.find_spec(last, [str(folder.joinpath(*parents)) for folder in folders])
    return Path(spec.origin).resolve() if spec and spec.has_location and spec.origin else None


def _changed(path: Path, digest: str) -> bool:
    return not path.is_file() or _sha256(path.read_bytes()) != digest


def _digest(file: Path, content: bytes) -> str:
    return (_digest_once if INSTALLED & {*file.parts} else _digest_now)(file, content)


def _digest_now(file: Path, content: bytes) -> str:
    return hashed(content, {name: path.read_bytes() for name, path in beside(file, content).items()})


_digest_once = lru_cache(64)(_digest_now)
"""That of an installed package, which takes seconds for a large one and does not change while a process runs."""


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()
