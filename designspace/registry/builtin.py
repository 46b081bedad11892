"""Import the components that come with the package and those of installed plugins; importing is registering."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import cache
from importlib.metadata import entry_points

PACKAGE = "designspace.components"


def import_builtin(row: str, name: str | None = None) -> None:
    """Import the file ``components/<row>/<name>.py`` if there is one; without ``name`` all files of the row."""
    folder = f"{PACKAGE}.{row}"
    if importlib.util.find_spec(folder) is None:
        return
    found = pkgutil.iter_modules(importlib.import_module(folder).__path__)
    for module in [module.name for module in found if name in (None, module.name)]:
        importlib.import_module(f"{folder}.{module}")


@cache
def import_plugins() -> None:
    """Import every module that an installed distribution names under ``designspace.components``, once.

    Raises ``ImportError`` naming the plugin that cannot be imported.
    """
    for entry_point in entry_points(group=PACKAGE):
        try:
            entry_point.load()
        except Exception as error:
            raise ImportError(f"the plugin {entry_point.name} ({entry_point.value}) fails: {error}") from error
