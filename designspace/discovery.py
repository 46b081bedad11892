"""Import the modules in which components are defined; importing is registering."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType


def import_builtin() -> None:
    """Import every file of ``components/``."""
    import designspace.components as builtin

    for module in pkgutil.walk_packages(builtin.__path__, builtin.__name__ + "."):
        importlib.import_module(module.name)


def import_plugins() -> None:
    """Import every module that an installed distribution names under ``designspace.components``.

    Raises ``ImportError`` naming the plugin that cannot be imported.
    """
    for entry_point in entry_points(group="designspace.components"):
        try:
            entry_point.load()
        except Exception as error:
            raise ImportError(f"the plugin {entry_point.name} ({entry_point.value}) fails: {error}") from error


def import_user(name: str, *, relative_to: Path) -> None:
    """Import an entry of a spec's ``components:`` list: ``./file.py``, relative to the spec, or ``package.module``.

    Raises ``ImportError`` saying what is missing; what the module itself raises passes through.
    """
    if name.endswith(".py"):
        import_file((relative_to / name).resolve())
    else:
        importlib.import_module(name)


def import_file(path: Path) -> ModuleType:
    """Import a Python file once, under a name of its own."""
    if not path.is_file():
        raise ImportError(f"no such file: {path}")
    name = f"designspace_user_{path.stem}_{sha256(bytes(path)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
