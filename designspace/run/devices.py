"""What ``--device`` means on this machine, and which GPU each worker sees.

A worker that is a process of its own sees its GPU alone: ``CUDA_VISIBLE_DEVICES`` is set before PyTorch is imported
there, so that libraries that use the first GPU use the right one, too. The process of the run only counts the GPUs,
which takes no memory on them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import torch

from designspace.text import did_you_mean

DEVICES = ("cpu", "cuda", "mps", "xpu")
"""Devices that users may mean."""
SEVERAL = "cuda:all"
KNOWN = (*DEVICES, SEVERAL, "auto")
VISIBLE = "CUDA_VISIBLE_DEVICES"
SOLE = "cuda"
"""What PyTorch calls the GPU of a worker that sees no other."""


class Place(NamedTuple):
    """Where a worker computes."""

    device: str
    """The device, by the name that PyTorch has for it in the worker's process."""
    environment: dict[str, str]
    """Environment variables of this process."""

    @classmethod
    def of(cls, device: str) -> Place:
        """The place of a worker on a device that PyTorch calls ``device`` in this process."""
        name, _, index = device.partition(":")
        return cls(SOLE, {VISIBLE: visible()[int(index)]}) if name == "cuda" and index else cls(device, {})


def visible() -> list[str]:
    """The GPUs that this process sees, by what ``CUDA_VISIBLE_DEVICES`` calls them: numbers or UUIDs, also of MIG."""
    count, named = torch.cuda.device_count(), os.environ.get(VISIBLE)
    return [str(i) for i in range(count)] if named is None else [name.strip() for name in named.split(",")][:count]


def devices_of(asked: str) -> list[str]:
    """The devices of PyTorch that a user asks for: ``cuda:all`` are ``cuda:0``, ``cuda:1``, ...

    ``auto`` stands for all GPUs, in a task of Slurm for those of this task, and without a GPU for the CPU. Raises
    ``ValueError`` if one of them is not there.
    """
    require_named(asked)
    if asked == "auto":
        return _found()
    gpus = _gpus()
    if asked == SEVERAL and not gpus:
        raise ValueError(f"device {asked}: PyTorch finds no GPU. It can use: {', '.join(usable())}.")
    asked_for = gpus if asked == SEVERAL else [f"cuda:{index}" for index in _indices(asked)]
    if missing := [device for device in asked_for if device not in gpus]:
        raise ValueError(f"device {asked}: there is no {missing[0]}. PyTorch can use: {', '.join(usable())}.")
    if not asked_for:
        _require_usable(asked)
    return asked_for or [asked]


def device_of(asked: str) -> str:
    """The only device that a user asks for; of ``auto``, the first. Raises ``ValueError`` if there are several."""
    found = devices_of(asked)
    if len(found) > 1 and asked != "auto":
        raise ValueError(f"device {asked}: should be one device here, such as {found[0]}")
    return found[0]


def require_named(asked: str) -> None:
    """Raise ``ValueError`` unless ``asked`` is the name of one or several devices, on whatever machine."""
    if asked in (SEVERAL, "auto"):
        return
    if "," in asked:
        indices = _indices(asked)
        if twice := next((index for index in indices if indices.count(index) > 1), None):
            raise ValueError(f"device {asked}: names cuda:{twice} twice; for several workers per GPU, use --workers")
        return
    try:
        torch.device(asked)
    except RuntimeError as error:
        near = did_you_mean(asked, KNOWN)
        if asked.partition(":")[0] in DEVICES:
            raise ValueError(f"device {asked}: should be {_FORMS}.{near}") from error
        near = near or did_you_mean(asked.partition(":")[0], KNOWN)
        raise ValueError(f"device {asked}: there is no such device.{near} Known: {', '.join(KNOWN)}.") from error


_FORMS = "a name such as cuda, one GPU such as cuda:1, several such as cuda:0,2, or cuda:all"


def _indices(asked: str) -> list[str]:
    """The GPUs in a list such as ``cuda:0,2``; empty unless there are several."""
    if "," not in asked:
        return []
    name, _, listed = asked.partition(":")
    indices = listed.split(",")
    if name != "cuda" or not all(index.isdecimal() and index.isascii() for index in indices):
        raise ValueError(f"device {asked}: should be {_FORMS}")
    return [str(int(index)) for index in indices]


def _require_usable(device: str) -> None:
    try:
        torch.ones(1, device=torch.device(device)).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        why = f"PyTorch cannot use it. It can use: {', '.join(usable())}. ({reason})"
        raise ValueError(f"device {device}: {why}") from error


def _gpus() -> list[str]:
    return [f"cuda:{i}" for i in range(len(visible()))]


def usable() -> list[str]:
    """The devices on which PyTorch can compute here."""
    found = [name for name in DEVICES if hasattr(torch, name) and getattr(torch, name).is_available()]
    return [device for name in found for device in (_gpus() if name == "cuda" else [name])]


def _found() -> list[str]:
    """The devices of ``auto``."""
    gpus = _gpus()
    if not gpus:
        return [*(name for name in usable() if name != "cpu"), "cpu"][:1]
    task, tasks = _task_of_node()
    return gpus[task::tasks] or [gpus[task % len(gpus)]]


def _task_of_node() -> tuple[int, int]:
    """Which of the processes that srun has started on this machine this one is, and how many share its GPUs.

    With ``--gpus-per-task``, Slurm shows each of them its own GPUs only.
    """
    each, node = os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""), int(os.environ.get("SLURM_NODEID", "0"))
    counts = [int(count) for part in each.split(",") if part for count in _repeated(part)]
    if node >= len(counts) or "SLURM_GPUS_PER_TASK" in os.environ:
        return 0, 1
    return int(os.environ.get("SLURM_LOCALID", "0")) % counts[node], counts[node]


def _repeated(part: str) -> Sequence[str]:
    """The counts in a part of Slurm's notation: ``8(x2)`` is 8 on each of two machines."""
    count, _, times = part.partition("(x")
    return [count] * int(times.removesuffix(")") or 1)
