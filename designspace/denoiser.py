r"""A denoiser from a network: Eq. 7 of Karras et al. (2022), https://arxiv.org/abs/2206.00364.

.. math:: D(x; \sigma) = c_\mathrm{skip}(\sigma)\, x
    + c_\mathrm{out}(\sigma)\, F_\theta\big(c_\mathrm{in}(\sigma)\, x;\, c_\mathrm{noise}(\sigma)\big)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from designspace import rows
from designspace.design import Design

F = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``F(x, c_noise [B], labels)``: a network."""


@dataclass(frozen=True)
class Preconditioned:
    """``network`` with the rows c_skip, c_out, c_in and c_noise of ``design``.

    The network sees its own floating-point type, ``dtype``; coefficients are computed in float64. If it gives twice
    the channels of its input (iDDPM's learned variances), the first half is used.
    """

    network: F
    design: Design
    shape: tuple[int, ...]
    """The shape of one sample."""
    dtype: torch.dtype = torch.float32

    def bind(self, labels: Tensor | None = None) -> rows.D:
        """``D(x, sigma)`` with the limits and the rounding that the network's noise conditioning needs."""
        return Bound(self, labels)


class Bound:
    """A preconditioned network with its labels: ``D(x, sigma)``, sigma float64, 0-dim or ``[B]``."""

    def __init__(self, model: Preconditioned, labels: Tensor | None) -> None:
        self._model, self._labels = model, labels
        c_noise = model.design.c_noise
        self.sigma_min, self.sigma_max = c_noise.limits()
        self.round_sigma = c_noise.round_sigma

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised samples, in the dtype of ``x``."""
        design, dtype = self._model.design, self._model.dtype
        c_skip, c_out, c_in = (row(sigma) for row in (design.c_skip, design.c_out, design.c_in))
        c_noise = design.c_noise(sigma).to(device=x.device, dtype=dtype).expand(len(x))
        with torch.no_grad():
            output = self._model.network((_like(c_in, x) * x).to(dtype), c_noise, self._labels)
        return _like(c_skip, x) * x + _like(c_out, x) * output[:, : x.shape[1]].to(x.dtype)


def precondition(network: F, design: Design, shape: tuple[int, ...], labels: Tensor | None = None) -> rows.D:
    """``D(x, sigma)`` for ``sample`` from any network called as ``F(x, c_noise, labels)``."""
    return Preconditioned(network, design, shape).bind(labels)


def _like(coefficient: Tensor, x: Tensor) -> Tensor:
    """A number for the whole batch stays on the CPU, so that the device need not be waited for."""
    if coefficient.ndim == 0:
        return coefficient.to(x.dtype)
    return coefficient.to(x).reshape(-1, *[1] * (x.ndim - 1))
