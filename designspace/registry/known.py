"""All rows and their components by name. Built-in components are imported when they are looked up."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from designspace.errors import PluginError, WithheldError, brief
from designspace.interrupts import contained
from designspace.registry.execution import about_to_execute

COMPONENTS = "designspace.components"
"""The package of the built-in components, and the entry point under which plugins name their modules."""
ROW_MODULES = ("sampling.rows", "denoising.rows", "denoising.guidance", "training.rows", "data.rows", "evaluation.rows")
"""The modules that define rows: first the blocks of Table 1, then data and evaluation."""
TABLE_1 = (
    "solver", "time_steps", "schedule", "scaling",
    "c_skip", "c_out", "c_in", "c_noise",
    "noise_distribution", "loss_weight",
)  # fmt: skip
"""The rows of Table 1 in its order. Further rows follow in alphabetical order."""

ALIASES = {"time_steps": {"exponential": "logsnr", "karras": "edm", "kl_optimal": "cosine"}}
"""Names under which other programs know components, by row. A component of the user may have one of these names."""


class Rows(Mapping[str, type[Any]]):
    """Every row by name. The modules that define rows are imported when an unknown row is looked up."""

    def __init__(self) -> None:
        self._rows: dict[str, type[Any]] = {}

    def add(self, name: str, row: type[Any]) -> None:
        """Register a row."""
        self._rows[name] = row

    def __getitem__(self, name: str) -> type[Any]:
        if name not in self._rows:
            self._import_all()
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        self._import_all()
        return iter([*TABLE_1, *sorted(self._rows.keys() - set(TABLE_1))])

    def __len__(self) -> int:
        self._import_all()
        return len(self._rows)

    def _import_all(self) -> None:
        for module in ROW_MODULES:
            importlib.import_module(f"designspace.{module}")


ROWS = Rows()
"""Every row, by name."""


class Known(MutableMapping[str, type[Any]]):
    """The components of a row by name.

    A built-in component is imported from its file ``components/<row>/<name>.py`` when it is looked up. Plugins are
    imported when a name is not built in. A component is also found under its ``aliases``, which are no keys. Iteration
    imports everything.
    """

    def __init__(self, row: str) -> None:
        self._row = row
        self._classes: dict[str, type[Any]] = {}
        self.aliases = ALIASES.get(row, {})
        """The names of components by the other names that these have."""

    def __getitem__(self, name: str) -> type[Any]:
        if name not in self._classes:
            import_builtin(self._row, name)
        if name not in self._classes:
            import_plugins()
        if name not in self._classes and name in self.aliases:
            return self[self.aliases[name]]
        return self._classes[name]

    def __setitem__(self, name: str, cls: type[Any]) -> None:
        """Register a component. Raises ``TypeError`` if another class has its name."""
        import_builtin(self._row, name)
        other = self._classes.get(name, cls)
        if place_of(other) != place_of(cls):
            raise TypeError(f"{self._row} {name!r} is defined twice: in {place_of(other)} and in {place_of(cls)}")
        self._classes[name] = cls

    def __delitem__(self, name: str) -> None:
        del self._classes[name]

    def __iter__(self) -> Iterator[str]:
        import_builtin(self._row)
        import_plugins()
        return iter(self._classes)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def names(self) -> list[str]:
        """The names and aliases of all components, sorted."""
        return sorted({*self, *self.aliases})

    def aliases_of(self, cls: type[Any]) -> list[str]:
        """The other names under which a component is found."""
        return [alias for alias in self.aliases if self[alias] is cls]


def import_builtin(row: str, name: str | None = None) -> None:
    """Import the file ``components/<row>/<name>.py`` if there is one; without ``name``, import all files of the row."""
    folder = f"{COMPONENTS}.{row}"
    if importlib.util.find_spec(folder) is None:
        return
    found = pkgutil.iter_modules(importlib.import_module(folder).__path__)
    for module in [module.name for module in found if name in (None, module.name)]:
        importlib.import_module(f"{folder}.{module}")


def import_plugins() -> None:
    """Import every module that an installed distribution names under ``designspace.components``, once.

    Without effect where no code of users may be executed. Raises ``PluginError`` if one cannot be imported.
    """
    for entry_point in _plugins():
        with suppress(WithheldError):
            import_plugin(entry_point)


@cache
def _plugins() -> EntryPoints:
    return entry_points(group=COMPONENTS)


@cache
def import_plugin(entry_point: EntryPoint) -> None:
    """Import the module that an installed package names, once. Raises ``PluginError`` if that fails."""
    about_to_execute(entry_point.value, f"plugin {entry_point.name}")
    try:
        with contained():
            entry_point.load()
    except Exception as error:
        what = f"the plugin {entry_point.name} ({entry_point.value}) fails: {brief(error)}. Mend or uninstall it"
        raise PluginError(what) from error


def place_of(cls: type[Any]) -> str:
    """Where a class is defined: a file that is imported again, because it has changed, defines the same one."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__
    return f"{file}:{cls.__qualname__}"
