"""The provenance of a result: code, versions, machine and time."""

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
    """What produced a result, as plain data.

    ``git`` is the state of the repository that contains ``spec`` (the ablation's file) or else of designspace's own.
    """
    return {
        "git": (git_state(spec.parent) if spec else None) or git_state(Path(__file__).parent),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,  # includes the build, such as "+cu132", unlike the package metadata
            "numpy": numpy.__version__,
            "designspace": _version("designspace"),
        },
        "device": device_name(device),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "time": now(),
    }


def now() -> str:
    """The current time in UTC, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_state(folder: Path) -> str | None:
    """The commit of the repository that contains ``folder``, or ``None`` if there is no repository.

    ``-dirty`` is appended if tracked files differ, except in ``reports``, which the run itself writes.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)reports")
    return commit and commit + ("-dirty" if changes else "")


def device_name(device: torch.device) -> str:
    """The device with the name of its hardware: ``cuda:0 NVIDIA H100 80GB HBM3``, ``cpu AMD EPYC 7763``."""
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
