"""Where workers run and what they compute on, and whether these are there."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from designspace.run import local, ray
from designspace.text import did_you_mean

EXECUTORS = {"local": local.share, "ray": ray.share}
DEVICES = ("cpu", "cuda", "mps", "xpu")
"""Devices that users may mean."""


def require_executor(executor: str) -> None:
    """Raise ``ValueError`` unless workers can run there."""
    if executor not in EXECUTORS:
        near = did_you_mean(executor, EXECUTORS)
        raise ValueError(f"executor: unknown executor '{executor}'.{near} Known: {', '.join(EXECUTORS)}.")
    if executor == "ray" and find_spec("ray") is None:
        raise ValueError("executor ray: Ray is not installed: pip install 'designspace[ray]'")


def require_device(device: str, *, here: bool = True) -> None:
    """Raise ``ValueError`` unless PyTorch can compute on ``device``, or, if not ``here``, unless it knows the name."""
    try:
        named = torch.device(device)
        if here:
            torch.ones(1, device=named).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        name = device.partition(":")[0]
        if name in DEVICES:
            reason = str(error).splitlines()[0].partition(". ")[0]
            why = f"PyTorch cannot use it. It can use: {', '.join(devices())}. ({reason})"
        else:
            why = f"there is no such device.{did_you_mean(name, DEVICES)} Known: {', '.join(DEVICES)}."
        raise ValueError(f"device {device}: {why}") from error


def devices() -> list[str]:
    """The devices on which PyTorch can compute here."""
    found = [name for name in DEVICES if hasattr(torch, name) and getattr(torch, name).is_available()]
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return [device for name in found for device in (gpus if name == "cuda" else [name])]
