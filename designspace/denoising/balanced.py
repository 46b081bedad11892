"""Layers that keep the magnitude of their input: Karras et al. (2024), https://arxiv.org/abs/2312.02696, Section 2."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from designspace.denoising.layers import unit_rms

SILU = 0.596
"""The root mean square of SiLU for a standard normal input."""


def weights_of(t: float) -> tuple[float, float]:
    """The weights of a and b in ``mixed(a, b, t)``."""
    norm = math.hypot(1 - t, t)
    return (1 - t) / norm, t / norm


def mixed(a: Tensor, b: Tensor, t: float) -> Tensor:
    r""":math:`((1 - t)\, a + t\, b) / \sqrt{(1 - t)^2 + t^2}`: as large as a and b if these are independent."""
    own, other = weights_of(t)
    return a * own + b * other


class Weight(nn.Module):
    """A linear layer, or a convolution with kernels of ``size`` x ``size``, with a normalised weight and no bias.

    The output is multiplied by ``gain``. In training, the parameter itself is normalised before it is used. In
    evaluation, the normalised weight is kept until the parameter is replaced or changed in place. Changes through
    ``parameter.data`` cannot be noticed: PyTorch does not count them.
    """

    def __init__(self, cin: int, cout: int, size: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin, *((size, size) if size else ())))
        self.gain, self.padding = gain, size // 2
        self._kept: _Kept | None = None

    def forward(self, x: Tensor) -> Tensor:
        weight = self._normalised()
        return functional.linear(x, weight) if weight.ndim == 2 else functional.conv2d(x, weight, padding=self.padding)

    def _normalised(self) -> Tensor:
        weight = self.weight
        if self.training:
            self._kept = None
            with torch.no_grad():
                weight.copy_(_unit(weight))
        if self.training or weight.is_inference() or (torch.is_grad_enabled() and weight.requires_grad):
            return self._scaled(weight)
        if self._kept is None or not self._kept.is_of(weight):
            with torch.inference_mode(False), torch.no_grad():
                self._kept = _Kept(weight.detach(), weight._version, self._scaled(weight))
        return self._kept.normalised

    def _scaled(self, weight: Tensor) -> Tensor:
        return _unit(weight) * (self.gain / math.sqrt(weight[0].numel()))


class _Kept(NamedTuple):
    """A normalised weight with the parameter that it was computed from."""

    parameter: Tensor
    """Shares the memory of the parameter, so that no other tensor can take its address."""
    version: int
    normalised: Tensor

    def is_of(self, weight: Tensor) -> bool:
        return self.parameter.data_ptr() == weight.data_ptr() and self.version == weight._version


def _unit(weight: Tensor) -> Tensor:
    """The weight with a root mean square of 1 in each of its outputs."""
    return unit_rms(weight, tuple(range(1, weight.ndim)))
