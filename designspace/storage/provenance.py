"""Where a number comes from: code, versions, machine, time."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy
import torch


def provenance(device: torch.device, spec: Path | None = None) -> dict[str, Any]:
    """What produced a result, as plain data; ``git`` is of the repository of ``spec``, the ablation's file, or ours."""
    return {
        "git": (git_state(spec.parent) if spec else None) or git_state(Path(__file__).parent),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,  # with the build, "+cu132", which the distribution's metadata lacks
            "numpy": numpy.__version__,
            "designspace": _version("designspace"),
        },
        "device": device_name(device),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "time": now(),
    }


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_state(folder: Path) -> str | None:
    """The commit of the repository that ``folder`` is in, with ``-dirty`` if tracked files differ; ``None`` if none.

    Reports do not count: the run itself writes them.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)reports")
    return commit and commit + ("-dirty" if changes else "")


def device_name(device: torch.device) -> str:
    """``cuda:0 NVIDIA H100 80GB HBM3``, ``cpu AMD EPYC 7763``."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return f"{device} {_processor()}".strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
