import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.device import sent
from designspace.registry.component import Fraction, Positive
from designspace.registry.literature import DIELEMAN_2022, NICHOL_2021
from designspace.sampling.levels import log_uniform
from designspace.training.rows import AdaptedLevels, NoiseDistribution

EVERY = 20
"""Steps between changes of the distribution, each of which waits for the device."""


class Adaptive(NoiseDistribution, name="adaptive"):
    r"""Draws noise levels in proportion to the standard deviation of the loss, which is measured during training.

    :math:`\ln \sigma` is divided into ``bins`` equal parts from ``sigma_min`` to ``sigma_max``. :math:`s_i` is the
    standard deviation of the losses in part i, with the weight ``decay`` to the power of k for losses k steps ago; that
    of parts with few losses is pulled towards the root mean square over all parts. The share ``uniform`` of the levels
    is drawn evenly, so that no part is forgotten. The distribution changes every 20 steps.

    The losses are not divided by the probabilities, so that levels that are drawn more often also count more. This is
    a time warping as in Dieleman et al. (2022). Nichol and Dhariwal (2021), Section 3.3, draw steps in proportion to
    the root mean square of their losses and do divide them. Where no training is involved, as in tables, curves and the
    value of the metric ``loss``, the distribution is the initial one, uniform in :math:`\ln \sigma`. The profile of
    that metric shows the final one.
    """

    formula = r"p_i = (1 - q)\, \frac{s_i}{\sum_j s_j} + \frac{q}{\text{bins}}, \quad q = \text{uniform}"
    sources = (NICHOL_2021, DIELEMAN_2022)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    bins: Annotated[int, Field(ge=2, le=10_000)] = 64
    uniform: Fraction = 0.1
    decay: Fraction = 0.99

    def from_uniform(self, u: Tensor) -> Tensor:
        return log_uniform(u, self.sigma_min, self.sigma_max)

    def place(self, sigma: Tensor) -> Tensor:
        """The inverse of ``from_uniform``."""
        return (sigma / self.sigma_min).log() / math.log(self.sigma_max / self.sigma_min)

    def adapted(self, device: torch.device) -> AdaptedLevels:
        return _Levels(self, device)


class _Levels(AdaptedLevels):
    sums: Tensor
    ends: Tensor

    def __init__(self, spec: Adaptive, device: torch.device) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("sums", torch.zeros(3, spec.bins, dtype=torch.float64, device=device))
        """The number of losses in each part, their sum, and the sum of their squares."""
        self.register_buffer("ends", torch.linspace(0, 1, spec.bins + 1, dtype=torch.float64))
        """The probability of everything below each end of a part, on the CPU."""

    def from_uniform(self, u: Tensor) -> Tensor:
        right = torch.searchsorted(self.ends, u.contiguous(), right=True).clamp(1, self.spec.bins)
        low, high = self.ends[right - 1], self.ends[right]
        return self.spec.from_uniform((right - 1 + (u - low) / (high - low)) / self.spec.bins)

    @torch.no_grad()
    def see(self, sigma: Tensor, losses: Tensor, step: int) -> None:
        part = (self.spec.place(sigma) * self.spec.bins).floor().long().clamp(0, self.spec.bins - 1)
        known = losses.double().nan_to_num(0.0, 0.0, 0.0)
        columns = sent(part[:, None] == torch.arange(self.spec.bins), losses.device, torch.float64)
        found = torch.stack([torch.ones_like(known), known, known.square()]) @ columns  # index_add is not deterministic
        self.sums.mul_(self.spec.decay).add_(found)
        if (step + 1) % EVERY == 0:
            self.ends[1:] = self._probabilities().cumsum(0)

    def _probabilities(self) -> Tensor:
        count, total, squares = self.sums.cpu()
        within = (squares - total.square() / count.clamp_min(1e-9)).clamp_min(0)
        std = ((within + within.sum() / count.sum()) / (count + 1)).sqrt()
        share = std / std.sum() if std.sum() > 0 else torch.ones_like(std) / len(std)
        return (1 - self.spec.uniform) * share + self.spec.uniform / len(std)
