"""Copies from the CPU to a device that do not wait for the device."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """``values`` on ``device``. Copies from the CPU to a GPU use pinned memory, so that they are asynchronous."""
    values = values.to(dtype or values.dtype)
    if values.device.type != "cpu":
        return values.to(device)
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)
