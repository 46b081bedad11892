"""Layers that keep the magnitude of their input: Karras et al. (2024), https://arxiv.org/abs/2312.02696, Section 2."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from designspace.denoising.unets import unit_rms

SILU = 0.596
"""The root mean square of SiLU for a standard normal input."""


def weights_of(t: float) -> tuple[float, float]:
    """The weights of a and b in ``mixed(a, b, t)``."""
    norm = math.hypot(1 - t, t)
    return (1 - t) / norm, t / norm


def mixed(a: Tensor, b: Tensor, t: float) -> Tensor:
    r""":math:`((1 - t)\, a + t\, b) / \sqrt{(1 - t)^2 + t^2}`, of unit variance if a and b are independent and have it."""
    own, other = weights_of(t)
    return a * own + b * other


class Weight(nn.Module):
    """A linear layer, or a convolution with kernels of ``size`` x ``size``, with a normalised weight and no bias.

    The output is multiplied by ``gain``. In training, the parameter itself is normalised before it is used. In
    evaluation, the weight in use is computed anew only if the parameter has changed.
    """

    def __init__(self, cin: int, cout: int, size: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin, *(size, size) if size else ()))
        self.gain, self.padding = gain, size // 2
        self._used: tuple[object, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        weight = self._in_use()
        return functional.linear(x, weight) if weight.ndim == 2 else functional.conv2d(x, weight, padding=self.padding)

    def _in_use(self) -> Tensor:
        weight = self.weight
        if self.training:
            with torch.no_grad():
                weight.copy_(_unit(weight))
        if self.training or weight.is_inference() or (torch.is_grad_enabled() and weight.requires_grad):
            return self._scaled(weight)
        state = (weight.data_ptr(), weight._version, weight.dtype, weight.device)
        if self._used is None or self._used[0] != state:
            with torch.inference_mode(False), torch.no_grad():
                self._used = state, self._scaled(weight)
        return self._used[1]

    def _scaled(self, weight: Tensor) -> Tensor:
        return _unit(weight) * (self.gain / math.sqrt(weight[0].numel()))


def _unit(weight: Tensor) -> Tensor:
    """The weight with a root mean square of 1 in each of its outputs."""
    return unit_rms(weight, tuple(range(1, weight.ndim)))
