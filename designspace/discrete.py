r"""Noise levels one by one: what the rows c_noise and noise_distribution of DDPM and iDDPM share.

A network that was trained on levels :math:`u_0 > \dots > u_{M-1}` knows these and no others.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from designspace.component import Count, Fraction, Positive, Spec
from designspace.noise_levels import ddpm_levels, iddpm_levels, nearest
from designspace.table1 import CNoise, NoiseDistribution


class DDPMLevels(Spec):
    """The levels of ``ddpm_levels`` by their fields: mixed into a row, ``class X(DDPMLevels, Row, name="x")``."""

    M: Count = 1000
    beta_1: Fraction = 1e-4
    beta_M: Fraction = 0.02

    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""
        return ddpm_levels(self.M, self.beta_1, self.beta_M)


class IDDPMLevels(Spec):
    """The levels of ``iddpm_levels`` by their fields: mixed into a row like ``DDPMLevels``."""

    M: Count = 1000
    C_1: Positive = 0.001
    C_2: Positive = 0.008

    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""
        return iddpm_levels(self.M, self.C_1, self.C_2)


class DiscreteCNoise(CNoise):
    r""":math:`c_\mathrm{noise} = M - 1 - \arg\min_{j \le M} |u_j - \sigma|`: -1 at sigma = 0, M - 1 at :math:`u_0`."""

    @abstractmethod
    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""

    def __call__(self, sigma: Tensor) -> Tensor:
        levels = self.levels()
        return (len(levels) - 2 - nearest(levels, sigma)).to(sigma.dtype)

    def limits(self) -> tuple[float, float]:
        """From :math:`u_{M-1}` to :math:`u_0`."""
        u = self.levels()
        return float(u[-2]), float(u[0])

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The nearest of the levels, 0 among them."""
        return self.levels()[nearest(self.levels(), sigma)]


class DiscreteNoiseDistribution(NoiseDistribution):
    r""":math:`\sigma = u_j, \; j = \lfloor M u \rfloor`: each of the M positive levels is as likely as the others."""

    @abstractmethod
    def levels(self) -> Tensor:
        r""":math:`u_0 > \dots > u_M = 0`, float64 ``[M + 1]``."""

    def from_uniform(self, u: Tensor) -> Tensor:
        levels = self.levels()[:-1]
        return levels[(u * len(levels)).floor().long().clamp(0, len(levels) - 1)]
