"""The command doctor: show what is installed, the available devices, and which detectors and data sets are ready."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designspace.cli.errors import clean_errors, print_json, terminal
from designspace.cli.options import Json

if TYPE_CHECKING:
    from designspace.registry.component import Component

PACKAGES = ("designspace", "torch", "torchvision", "numpy", "scipy", "pydantic", "pandas", "matplotlib", "clean-fid")
Found = dict[str, Any]


def doctor(json: Json = False) -> None:
    """Print what is installed, the available devices, where the cache is, and which detectors and data sets are ready.

    For each detector or data set that is not ready, print which file is missing, where it is expected and where to get
    it.

    Example: designspace doctor
    """
    from rich.table import Column, Table
    from rich.text import Text

    with clean_errors():
        found = {"versions": _versions(), "machine": _machine(), "cache": _cache()} | _components()
    if json:
        print_json(found)
        return
    table = Table("", "", Column(overflow="fold"), box=None, show_header=False)
    for part, facts in found.items():
        for i, (name, fact) in enumerate(facts.items()):
            table.add_row(Text(part if i == 0 else "", style="bold"), name, Text(_words(fact)))
    terminal().print(table)


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
    from designspace.storage.files import CacheFolder

    root = CacheFolder().root
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
    """The state of every detector and data set that needs no fields: ``ready``, or the reason why not."""
    import torch

    import designspace as ds
    from designspace.evaluation.description import SHIPPED

    def load(detector: ds.Detector) -> object:
        detector.require()
        return detector.load(torch.device("cpu"))

    names = sorted(path.stem for path in SHIPPED.glob("*.json"))
    described = {
        f"file: {name}": _state(partial(ds.Detector.model_validate, {"name": "file", "path": name}), load)
        for name in names
    }
    detectors = _states(ds.Detector, load) | described
    return {"detectors": detectors, "data": _states(ds.Data, lambda data: data.content_hash())}


def _states(row: type[Component], use: Callable[[Any], object]) -> Found:
    def needs_fields(cls: type[Component]) -> bool:
        return any(field.is_required() for field in cls.model_fields.values())

    return {name: _state(cls, use) for name, cls in sorted(row.known.items()) if not needs_fields(cls)}


def _state(make: Callable[[], Component], use: Callable[[Any], object]) -> str:
    try:
        use(make())
    except Exception as error:  # one broken component must not hide the state of the others
        return str(error)
    return "ready"


def _words(fact: object) -> str:
    return ", ".join(fact) if isinstance(fact, list) else str(fact)
