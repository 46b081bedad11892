"""The ablations that come with designspace, found by name without importing PyTorch."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from designspace.text import did_you_mean_file


def included() -> Path:
    """The folder of the ablations that come with designspace, with the presets in its folder ``presets``."""
    installed = Path(str(files("designspace"))) / "ablations"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "ablations"


def included_names() -> list[str]:
    """The names of these ablations."""
    return sorted(file.stem for file in included().glob("*.yaml"))


def located(path: Path) -> Path:
    """``path``, or the included ablation of this name if there is no such file and the path names no folder."""
    if len(path.parts) != 1 or path.suffix not in ("", ".yaml") or path.exists():
        return path
    file = included() / f"{path.stem}.yaml"
    return file if file.is_file() else path


def no_such_file(path: Path) -> str:
    """What to say if ``path`` does not exist: which file or included ablation is meant, and how to list those."""
    ours = included_names() if len(path.parts) == 1 else []
    near = did_you_mean_file(path, [*ours, *path.parent.glob("*.y*ml")])
    return f"no such file.{near}{' Those that come with the package: designspace list ablations' * bool(ours)}"
