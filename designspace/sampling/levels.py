r"""Noise levels that several rows share: the curve of VP, and the grids of DDPM and iDDPM.

The formulas are those of Karras et al. (2022), Table 1 and Appendix C, https://arxiv.org/abs/2206.00364. All
computations are in float64; ``expm1`` and ``log1p`` keep small noise levels accurate.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from designspace.registry.component import Count, Fraction, Positive, Spec

VP_EPSILON_S = 1e-3
"""The time at which the VP sampler of Song et al. (2021) stops."""
TERMINAL = 4096.0
"""The highest level of betas with zero terminal SNR, where it would be infinite; as in diffusers."""
DISTINCT = 1e-6
"""The relative distance between levels that would otherwise lie at or above ``TERMINAL``."""


def ramp(n: int) -> Tensor:
    """:math:`i / (n - 1)` for i < n, float64 ``[n]``. Raises ``ValueError`` for n < 2."""
    if not isinstance(n, int):
        raise ValueError(f"num_steps must be an integer, not {n!r}")
    if n < 2:
        raise ValueError(f"num_steps must be at least 2, not {n}: the rules divide by N - 1")
    return torch.arange(n, dtype=torch.float64) / (n - 1)


def interpolated(levels: Tensor, n: int) -> Tensor:
    r"""``n`` levels: the given ones if there are ``n``, otherwise by linear interpolation of :math:`\ln\sigma`.

    Raises ``ValueError`` for n < 2.
    """
    if n == len(levels):
        return levels
    place = ramp(n) * (len(levels) - 1)
    return torch.from_numpy(np.exp(np.interp(place, np.arange(len(levels)), levels.log()))).double()


def geometric(n: int, start: float, end: float) -> Tensor:
    """``n`` levels from ``start`` to ``end`` with a constant ratio, float64 ``[n]``."""
    return start * (end / start) ** ramp(n)


def flow_time(sigma: float) -> float:
    r"""The time :math:`t = \sigma / (1 + \sigma)` of flow matching."""
    return sigma / (1 + sigma)


def flow_levels(t: Tensor, sigma_min: float, sigma_max: float, terminal: float | None = None) -> Tensor:
    r"""The noise levels :math:`t / (1 - t)` at times of flow matching that decrease from 1, where it is infinite.

    ``sigma_max`` replaces the first level. If the second level would reach it as well, all times are scaled to begin
    there. The times are stretched to end at ``terminal``, or at the time of ``sigma_min`` if they would end below it.
    """

    def stretched(first: float) -> Tensor:
        times = first * t
        last = max(terminal or float(times[-1]), flow_time(sigma_min))
        return first - (first - times) * ((first - last) / (first - float(times[-1])))

    highest = flow_time(sigma_max)
    times = stretched(1.0)
    if times[1] >= highest:
        times = stretched(highest)
    sigma = times / (1 - times)
    sigma[0] = sigma_max
    return sigma


def vp_sigma(t: Tensor, beta_d: float, beta_min: float) -> Tensor:
    r""":math:`\sqrt{e^{\frac12 \beta_d t^2 + \beta_\min t} - 1}`."""
    return (0.5 * beta_d * t**2 + beta_min * t).expm1().sqrt()


def vp_sigma_inv(sigma: Tensor, beta_d: float, beta_min: float) -> Tensor:
    r""":math:`(\sqrt{\beta_\min^2 + 2 \beta_d \ln(1 + \sigma^2)} - \beta_\min) / \beta_d`, without cancellation."""
    log = (sigma**2).log1p()
    root = (beta_min**2 + 2 * beta_d * log).sqrt()
    if beta_min <= 0:
        return (root - beta_min) / beta_d
    return 2 * log / (root + beta_min)


def vp_betas(sigma_min: float, sigma_max: float, epsilon_s: float = VP_EPSILON_S) -> tuple[float, float]:
    r""":math:`(\beta_d, \beta_\min)` with :math:`\sigma(\epsilon_s) = \sigma_\min` and :math:`\sigma(1) = \sigma_\max`.

    :math:`\beta_\min` is negative for ranges such as EDM's (0.002 to 80).
    """
    low, high = math.log1p(sigma_min**2), math.log1p(sigma_max**2)
    beta_d = 2 * (low / epsilon_s - high) / (epsilon_s - 1)
    return beta_d, high - beta_d / 2


def log_normal(u: Tensor, mean: float, std: float, row: str) -> Tensor:
    r""":math:`e^{\mathrm{mean} + \mathrm{std}\, \Phi^{-1}(u)}`, the quantile u of a log-normal distribution.

    Raises ``ValueError`` for u outside (0, 1), where the quantile is 0 or infinite.
    """
    if not bool(((u > 0) & (u < 1)).all()):
        raise ValueError(f"noise_distribution {row}: u must lie in the open interval (0, 1)")
    z: Tensor = torch.special.ndtri(u)
    return (mean + std * z).exp()


def log_normal_density(sigma: Tensor, mean: float, std: float) -> Tensor:
    r"""The density of :math:`\ln\sigma` if it is normally distributed."""
    z = (sigma.log() - mean) / std
    return (-(z**2) / 2).exp() / (std * math.sqrt(2 * math.pi))


def log_uniform(u: Tensor, low: float, high: float) -> Tensor:
    r""":math:`\mathrm{low}\, (\mathrm{high} / \mathrm{low})^u`, the quantile u of a log-uniform distribution."""
    return low * (high / low) ** u


@lru_cache
def iddpm_levels(M: int, C_1: float, C_2: float) -> Tensor:
    r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``.

    :math:`u_{j-1} = \sqrt{(u_j^2 + 1) / \max(\bar\alpha_{j-1} / \bar\alpha_j, C_1) - 1}`,
    :math:`\bar\alpha_j = \sin^2(\frac\pi2 j / (M (C_2 + 1)))`.
    Nichol and Dhariwal (2021), https://arxiv.org/abs/2102.09672.
    """
    alpha_bar = [math.sin(math.pi / 2 * j / (M * (C_2 + 1))) ** 2 for j in range(M + 1)]
    u = [0.0] * (M + 1)
    for j in range(M, 0, -1):
        u[j - 1] = math.sqrt((u[j] ** 2 + 1) / max(alpha_bar[j - 1] / alpha_bar[j], C_1) - 1)
    return torch.tensor(u, dtype=torch.float64)


def ddpm_levels(M: int, beta_1: float, beta_M: float) -> Tensor:
    """``beta_levels`` of linear betas. Ho et al. (2020), https://arxiv.org/abs/2006.11239."""
    return beta_levels("linear", M, beta_1, beta_M)


Betas = Literal["linear", "scaled_linear", "cosine", "sigmoid"]


@lru_cache
def beta_levels(
    schedule: Betas | tuple[float, ...], M: int, beta_1: float, beta_M: float, zero_terminal_snr: bool = False
) -> Tensor:
    r""":math:`u_j = \sqrt{(1 - \bar\alpha_t) / \bar\alpha_t}`, :math:`t = M - j`, float64 ``[M + 1]``, decreasing to 0.

    :math:`\bar\alpha_t = \prod_{s \le t} (1 - \beta_s)`, with the betas given, or by the name of their schedule. With
    ``zero_terminal_snr``, :math:`\sqrt{\bar\alpha}` is shifted and scaled linearly so that it ends at 0 (Lin et al.,
    2024, https://arxiv.org/abs/2305.08891, Algorithm 1), and levels above ``TERMINAL`` are lowered to it.
    """
    beta = (
        _betas(schedule, M, beta_1, beta_M)
        if isinstance(schedule, str)
        else torch.tensor(schedule, dtype=torch.float64)
    )
    log_alpha_bar = (-beta).log1p().cumsum(0)
    if not zero_terminal_snr:
        return torch.cat([log_alpha_bar.new_zeros(1), -log_alpha_bar]).expm1().sqrt().flip(0)
    root = (log_alpha_bar / 2).exp()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    levels = ((1 - root.square()).sqrt() / root).flip(0)
    most = TERMINAL * (1 - DISTINCT * torch.arange(len(levels), dtype=torch.float64))
    return torch.cat([levels.minimum(most), levels.new_zeros(1)])


def _betas(schedule: Betas, M: int, beta_1: float, beta_M: float) -> Tensor:
    if schedule == "cosine":
        t = torch.arange(M + 1, dtype=torch.float64) / M
        alpha_bar = ((t + 0.008) / 1.008 * math.pi / 2).cos().square()
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp_max(0.999)
    if schedule == "scaled_linear":
        return torch.linspace(math.sqrt(beta_1), math.sqrt(beta_M), M, dtype=torch.float64).square()
    if schedule == "sigmoid":
        return torch.linspace(-6, 6, M, dtype=torch.float64).sigmoid() * (beta_M - beta_1) + beta_1
    return torch.linspace(beta_1, beta_M, M, dtype=torch.float64)


def pick(u: Tensor, n: int, row: str) -> Tensor:
    r""":math:`u_{\lfloor j_0 + \frac{M-1-j_0}{n-1} i + \frac12 \rfloor}` for i < n, where ``u`` begins at :math:`j_0`.

    Raises ``ValueError`` if ``u`` has fewer than ``n`` levels, because one would then be picked twice.
    """
    i = ramp(n)
    if n > len(u):
        raise ValueError(f"time_steps {row}: {n} steps, but its grid has only {len(u)} levels")
    return u[((len(u) - 1) * i + 0.5).floor().long()]


def nearest(u: Tensor, sigma: Tensor) -> Tensor:
    """The index of the level of ``u`` (decreasing) nearest to each of ``sigma``; ties go to the smaller index."""
    ascending = u.flip(0)
    right = torch.searchsorted(ascending, sigma.to(u)).clamp(1, len(u) - 1)
    below, above = ascending[right - 1], ascending[right]
    index = torch.where(sigma.to(u) - below < above - sigma.to(u), right - 1, right)
    return len(u) - 1 - index


class DDPMLevels(Spec):
    """The arguments of ``ddpm_levels`` as fields: a mixin for rows, ``class X(DDPMLevels, Row, name="x")``."""

    M: Count = 1000
    beta_1: Fraction = 1e-4
    beta_M: Fraction = 0.02

    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""
        return ddpm_levels(self.M, self.beta_1, self.beta_M)


class IDDPMLevels(Spec):
    """The arguments of ``iddpm_levels`` as fields: a mixin for rows, like ``DDPMLevels``."""

    M: Count = 1000
    C_1: Positive = 0.001
    C_2: Positive = 0.008

    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""
        return iddpm_levels(self.M, self.C_1, self.C_2)


class BetaLevels(Spec):
    """The arguments of ``beta_levels`` as fields: a mixin for rows, like ``DDPMLevels``."""

    schedule: Betas = "linear"
    M: Count = 1000
    beta_1: Fraction = 1e-4
    beta_M: Fraction = 0.02
    betas: Annotated[tuple[Fraction, ...], Field(min_length=2)] | None = None
    zero_terminal_snr: bool = False

    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""
        return beta_levels(self.betas or self.schedule, self.M, self.beta_1, self.beta_M, self.zero_terminal_snr)

    def within_range(self, low: float, high: float) -> Tensor:
        """The positive levels in ``[low, high]``, decreasing."""
        u = self.levels()
        return u[(low <= u) & (u <= high)]
