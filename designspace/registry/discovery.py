"""Import the modules in which components are defined; importing is registering."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from designspace.registry import sources
from designspace.registry.known import ROWS


def import_user(name: str, *, relative_to: Path) -> None:
    """Import an entry of a spec's ``components:`` list: ``./file.py``, relative to the spec, or ``package.module``.

    Raises ``ImportError`` saying what is missing; what the module itself raises passes through.
    """
    if name.endswith(".py"):
        import_file((relative_to / name).resolve())
    else:
        import_module(name)


def import_file(path: Path) -> ModuleType:
    """Import a Python file, under a name of its own; again if it, or what it imports beside itself, has changed."""
    if not path.is_file():
        raise ImportError(f"no such file: {path}")
    name = file_module(path)
    if is_current(name):
        return sys.modules[name]
    _forget(name, path)
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        source = path.read_bytes()  # not by the loader, which may take an older file's bytecode for this one's
        with sources.executing(name, source):
            exec(loader.source_to_code(source, str(path)), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def import_module(name: str) -> ModuleType:
    """Import a module by name; again if it, or what it imports beside itself, has changed."""
    if name in sys.modules and not is_current(name):
        _forget(name, Path(str(sys.modules[name].__file__)))
    module = importlib.import_module(name)
    if sources.recorded(name) is None:
        sources.record(name)
    return module


def file_module(path: Path) -> str:
    """The name that a file is imported under."""
    return f"designspace_user_{path.stem}_{sha256(bytes(path)).hexdigest()[:8]}"


def is_current(name: str) -> bool:
    """Whether a module is what its files say; one that was not imported here, or from no file, is taken to be."""
    if name not in sys.modules:
        return False
    file = getattr(sys.modules[name], "__file__", None)
    return not (file and sources.recorded(name)) or sources.of_file(Path(file)) == sources.recorded(name)


def _forget(name: str, file: Path) -> None:
    """Make room for a module that is imported again: it may have fewer components than it had."""
    sources.forget(file)
    sources.drop(name, file)
    for row in ROWS.values():
        for component in [cls for cls in row.known.values() if cls.__module__ == name]:
            del row.known[component.name]
