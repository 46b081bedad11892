"""The command doctor: what is installed, what this machine has, and what can be used."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from designspace.cli.errors import clean_errors, print_json

if TYPE_CHECKING:
    from designspace.registry.component import Component

PACKAGES = ("designspace", "torch", "torchvision", "numpy", "scipy", "pydantic", "pandas", "matplotlib", "clean-fid")
Found = dict[str, Any]


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False) -> None:
    """Say what is installed, which devices there are, where the cache is, and which networks and data can be used.

    What is not ready says which file it misses, where it is looked for, and where to get it.

    Example: designspace doctor
    """
    with clean_errors():
        found = {"versions": _versions(), "machine": _machine(), "cache": _cache()} | _components()
    if json:
        print_json(found)
        return
    table = Table("", "", Column(overflow="fold"), box=None, show_header=False)
    for part, facts in found.items():
        for i, (name, fact) in enumerate(facts.items()):
            table.add_row(Text(part if i == 0 else "", style="bold"), name, Text(_words(fact)))
    Console().print(table)


def _versions() -> Found:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _machine() -> Found:
    import torch

    gpus = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return {"devices": ["cpu", *gpus, *mps], "threads": torch.get_num_threads()}


def _cache() -> Found:
    from designspace.storage.cache import Cache

    root = Cache().root
    here = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    free, used = shutil.disk_usage(here).free, _size(root)
    space = {"used_MB": used // 10**6, "free_MB": free // 10**6}
    return {"folder": str(root)} | space | {"set_by": "$DESIGNSPACE_CACHE"}


def _size(root: Path) -> int:
    total = 0
    for path in root.rglob("*"):
        with suppress(OSError):  # other processes may remove files at any time
            total += path.stat().st_size if path.is_file() else 0
    return total


def _components() -> Found:
    """The state of every detector and data set that can be named without fields."""
    import torch

    import designspace as ds

    def load(detector: ds.Detector) -> object:
        return detector.load(torch.device("cpu"))

    return {"detectors": _states(ds.Detector, load), "data": _states(ds.Data, lambda data: data.content_hash())}


def _states(row: type[Component], use: Callable[[Any], object]) -> Found:
    def needs_fields(cls: type[Component]) -> bool:
        return any(field.is_required() for field in cls.model_fields.values())

    return {name: _state(cls, use) for name, cls in sorted(row.known.items()) if not needs_fields(cls)}


def _state(cls: type[Component], use: Callable[[Any], object]) -> str:
    try:
        use(cls())
    except Exception as error:  # a doctor that falls ill is of no use
        return str(error)
    return "ready"


def _words(fact: object) -> str:
    return ", ".join(fact) if isinstance(fact, list) else str(fact)
