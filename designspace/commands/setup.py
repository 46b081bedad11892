"""The commands doctor, new and schema: to begin with."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from designspace.commands.errors import clean_errors, print_json, stop

PACKAGES = ("designspace", "torch", "torchvision", "numpy", "pydantic", "pandas", "matplotlib", "clean-fid", "scipy")


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what is installed, which devices there are, where the cache is, and which weights and data are found.

    Example: designspace doctor
    """
    found = _versions() | _machine() | _embedded()
    if json:
        print_json(found)
        return
    width = max(map(len, found))
    for name, value in found.items():
        typer.echo(f"{name:{width}}  {value}")


def new(folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")]) -> None:
    """Make a small project: an ablation and a component of one's own, ready to run.

    Example: designspace new my_study && designspace run my_study/ablation.yaml
    """
    if folder.exists():
        stop(2, f"{folder}: is there already")
    templates = Path(__file__).parent / "templates"
    shutil.copytree(templates, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "my_steps.py.txt").rename(folder / "my_steps.py")
    typer.echo(
        f"{folder}/ablation.yaml and {folder}/my_steps.py are yours. Next: designspace run {folder}/ablation.yaml"
    )


def schema() -> None:
    """Print the JSON schema of ablation files, for editors that complete and check YAML.

    Example: designspace schema > ablation.schema.json
    """
    import designspace  # noqa: F401
    from designspace.schema import schema as make

    print_json(make())


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _machine() -> dict[str, str]:
    import torch

    from designspace.cache import Cache

    root = Cache().root
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) if root.is_dir() else 0
    here = next(parent for parent in (root, *root.parents) if parent.exists())
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "devices": ", ".join(["cpu", *gpus]),
        "threads": str(torch.get_num_threads()),
        "cache": f"{root} ({size / 1e6:.0f} MB used, {shutil.disk_usage(here).free / 1e9:.0f} GB free)",
    }


def _embedded() -> dict[str, str]:
    """Whether weights and data that are not part of the package can be loaded, or what is missing."""
    import torch

    import designspace as ds
    from designspace.images import DataError

    found = {}
    with clean_errors():
        for name in ("lite0", "inception"):
            try:
                ds.Detector.get(name)().load(torch.device("cpu"))
                found[f"detector {name}"] = "ready"
            except DataError as error:
                found[f"detector {name}"] = str(error)
        try:
            ds.Data.get("fashion_mnist")().content_hash()
            found["data fashion_mnist"] = "ready"
        except DataError as error:
            found["data fashion_mnist"] = str(error)
    found["inception is looked for in"] = (
        f"$DESIGNSPACE_INCEPTION ({os.environ.get('DESIGNSPACE_INCEPTION', 'not set')})"
    )
    found["inception is looked for in"] += f", then {tempfile.gettempdir()}"
    return found
