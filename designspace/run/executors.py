"""Where workers run, and whether this is possible."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from designspace.run import local, ray, slurm
from designspace.run.devices import devices_of, require_named
from designspace.run.events import Report
from designspace.run.job import Job
from designspace.text import did_you_mean

Share = Callable[[Job, int | None, Report], None]
"""Runs a job in a number of workers, or in as many as there are devices."""
EXECUTORS = ("local", "ray", "slurm")
PACKAGES = {"ray": ("ray", "Ray"), "slurm": ("submitit", "The package submitit")}
"""The packages of executors, which are not installed by default."""


def sharing(executor: str, options: str) -> Share:
    """The function that runs a job; ``options`` are those of sbatch. Raises ``ValueError``."""
    if executor == "slurm":
        return slurm.sharing(slurm.options_of(options))
    return ray.share if executor == "ray" else local.share


def require_executor(executor: str, options: str = "") -> None:
    """Raise ``ValueError`` unless workers can run there, with these options of sbatch."""
    if executor not in EXECUTORS:
        near = did_you_mean(executor, EXECUTORS)
        raise ValueError(f"executor: unknown executor '{executor}'.{near} Known: {', '.join(EXECUTORS)}.")
    package, name = PACKAGES.get(executor, ("", ""))
    if package and find_spec(package) is None:
        raise ValueError(f"executor {executor}: {name} is not installed: pip install 'designspace[{executor}]'")
    if options and executor != "slurm":
        raise ValueError(f"slurm: is for the executor slurm, not for '{executor}'")
    sharing(executor, options)


def require_devices(executor: str, device: str) -> None:
    """Raise ``ValueError`` unless workers can compute on ``device``, which other machines find out for themselves."""
    if executor == "local":
        devices_of(device)
        return
    require_named(device)
    if executor == "ray" and (device == "auto" or (device.startswith("cuda:") and device != "cuda:all")):
        raise ValueError(f"device {device}: Ray chooses the GPU of each worker: use cuda, or cuda:all for all GPUs")


def workers_here(executor: str, device: str, workers: int | None) -> int | None:
    """The number of workers: by default one per device, which is not known (``None``) for other machines."""
    return len(devices_of(device)) if workers is None and executor == "local" else workers


def first_device(executor: str, device: str) -> str:
    """The first device of a run on this machine; the CPU if other machines compute."""
    return devices_of(device)[0] if executor == "local" else "cpu"
