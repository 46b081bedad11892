"""Import modules of users and register their components. A module is named ``./file.py`` or ``package.module``."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from designspace.registry import sources
from designspace.registry.execution import about_to_execute
from designspace.registry.isolation import settings_kept
from designspace.registry.known import ROWS
from designspace.registry.siblings import make_importable


def import_user(name: str, *, relative_to: Path) -> None:
    """Import an entry of a spec's ``components:`` list: ``./file.py``, relative to the spec, or ``package.module``.

    Raises ``ImportError`` saying what is missing. Exceptions that the module itself raises are passed on.
    """
    if name.endswith(".py"):
        import_file((relative_to / name).resolve(), "components")
    elif not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
        raise ImportError(f"should be ./file.py or package.module, not {name!r}")
    elif why := why_no_user_module(name):
        raise ImportError(why)
    else:
        import_module(name, "components")


def import_file(path: Path, purpose: str) -> ModuleType:
    """Import a Python file under a module name that no other file has.

    It is imported again if it, or a module that it imports from its own folder or package, has changed since. The
    ``purpose`` is what the spec names it for. Raises ``WithheldError`` if no code of the user may be executed.
    """
    if not path.is_file():
        raise ImportError(f"no such file: {path}")
    name = file_module(path)
    loader = SourceFileLoader(name, str(path))
    source = path.read_bytes()  # not by the loader, which may use the bytecode of an older version
    code = loader.source_to_code(source, str(path))
    about_to_execute(path, purpose)
    if is_current(name):
        return sys.modules[name]
    _forget(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        make_importable(path, source)
        with sources.executing(name, source), settings_kept():
            exec(code, vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def import_module(name: str, purpose: str) -> ModuleType:
    """Import a module by name; import it again if it, or a module that it imports from its own package, has changed.

    Raises ``WithheldError`` if no code of the user may be executed.
    """
    about_to_execute(name, purpose)
    if name in sys.modules and not is_current(name):
        _forget(name, Path(str(sys.modules[name].__file__)))
    with settings_kept():
        module = importlib.import_module(name)
    if sources.recorded(name) is None:
        sources.record(name)
    return module


def file_module(path: Path) -> str:
    """The module name under which a file is imported, in its package if it is in one, for relative imports."""
    package = sources.package_of(path)
    stem = re.sub(r"\W", "_", path.stem)
    return (package and f"{package}.") + f"designspace_user_{stem}_{sha256(bytes(path)).hexdigest()[:8]}"


def is_current(name: str) -> bool:
    """Whether a loaded module still matches its files; assumed for modules without a file or imported by other code."""
    if name not in sys.modules:
        return False
    file = getattr(sys.modules[name], "__file__", None)
    return not (file and sources.recorded(name)) or sources.of_file(Path(file)) == sources.recorded(name)


def why_no_user_module(place: str) -> str:
    """Why a spec may not name this module; empty if it may."""
    top = place.partition(".")[0]
    standard = not place.endswith(".py") and top in sys.stdlib_module_names
    return f"module '{top}' belongs to Python's standard library, which has neither components nor networks" * standard


def _forget(name: str, file: Path) -> None:
    """Remove a module and its components before it is imported again; it may now define fewer components."""
    sources.forget(file)
    sources.drop(name, file)
    for row in ROWS.values():
        for component in [cls for cls in row.known.values() if cls.__module__ == name]:
            del row.known[component.name]
