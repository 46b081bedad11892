"""Tests of the normal approximation at 95 %, and how several of them are combined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.05
"""Of a two-sided test; each side has half of it."""
Z = 1.959963984540054
"""Of a two-sided test at 5 %."""


def two_sided(z: float) -> float:
    """The two-sided p-value of a number ``z`` standard errors from 0; NaN of NaN."""
    return math.erfc(abs(z) / math.sqrt(2))


def as_normal(t: float, degrees: int) -> float:
    """The normal number that is as unlikely as ``t`` of Student's distribution; 8 at most, but infinity stays.

    Abramowitz and Stegun (1964), 26.7.3 and 26.7.4: sums of powers of the cosine.
    """
    if math.isinf(t) or math.isnan(t):
        return t
    angle, odd, total = math.atan2(abs(t), math.sqrt(degrees)), degrees % 2, 0.0
    term = math.cos(angle) if odd else 1.0
    for k in range(2 + odd, degrees + 1, 2):
        total += term
        term *= (k - 1) / k * math.cos(angle) ** 2
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return math.copysign(min(8.0, -NormalDist().inv_cdf(max((1 - inside) / 2, 1e-16))), t)


def holm(ps: Sequence[float]) -> list[float]:
    r"""p-values corrected for their number, in the order given.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})

    The chance that any true hypothesis has one below 5 % is at most 5 %, however they depend on each other. NaN is a
    comparison that could not be made: it stays NaN and is not counted in ``m``.
    Holm (1979), A simple sequentially rejective multiple test procedure, https://www.jstor.org/stable/4615733.
    """
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    corrected, largest = [math.nan] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * ps[i]))
        corrected[i] = largest
    return corrected


@dataclass(frozen=True)
class Evidence:
    """What the parts of a claim say together."""

    p_for: float
    """If the claim is false, the chance to see numbers at least as much in its favour is at most this."""
    p_against: float
    """The same with a claim that is true, and numbers against it."""
    times: float
    """So many times the images would decide it, if the numbers stayed as they are; infinite if none would."""

    @property
    def p(self) -> float:
        """Two-sided: the claim is decided where it is 5 % or less."""
        return min(1.0, 2 * min(self.p_for, self.p_against))

    @property
    def verdict(self) -> str:
        """``holds``, ``does not hold`` or ``undecided``; each of the first two is wrong in 2.5 % of cases at most."""
        if self.p_for <= LEVEL / 2:
            return "holds"
        return "does not hold" if self.p_against <= LEVEL / 2 else "undecided"


def evidence(parts: Sequence[np.ndarray], count: int | None = None) -> Evidence:
    r"""Test a claim of several parts, all of which must be true.

    A part with ``z`` of shape ``[S, C]`` states that the lowest of S numbers is below the lowest of C others, where
    :math:`z_{sc}` is their difference in standard errors; ``[1, 1]``: that one difference is below 0.

    *Within a part.* :math:`\min_s \mu_s < \min_c \mu_c` if for each c some s is lower:
    :math:`p = \max_c \min(1, S \min_s \Phi(z_{sc}))`, Bonferroni over the s, of which any will do, and no correction
    over the c, all of which are needed: the claim is false only if some c is at least as low as all s, and its own p is
    then below alpha with a chance of alpha at most (intersection-union test). Against it, with s and c exchanged:
    :math:`p = \max_s \min(1, C \min_c \Phi(-z_{sc}))`.

    *Over the parts.* The claim holds if each part does: the largest p, uncorrected (intersection-union). It does not
    hold if some part is contradicted: the smallest p after Holm's correction for all ``count`` parts.

    Both at 2.5 %. A z that is NaN decides nothing. Berger (1982), Multiparameter hypothesis testing and acceptance
    sampling, https://doi.org/10.2307/1267823; ``holm``.

    Args:
        parts: The z of each part that was measured.
        count: The number of all parts, measured or not.
    """
    count = count or len(parts)
    sides = [_sides(z) for z in parts]
    p_for, p_against = max(_p(lower) for lower, _ in sides), min(_p(higher) for _, higher in sides)
    times = max(_times(lower) for lower, _ in sides), min(_times(higher, count) for _, higher in sides)
    return Evidence(p_for, min(1.0, count * p_against), max(1.0, min(times)))


Side = tuple[int, list[float]]
"""Of how many numbers any will do; and the lowest of them, for each of those that are needed."""


def _sides(z: np.ndarray) -> tuple[Side, Side]:
    """For and against."""
    rows = z.tolist()
    columns = list(zip(*rows, strict=True))
    return (len(rows), [_lowest(c) for c in columns]), (len(columns), [_lowest([-x for x in row]) for row in rows])


def _lowest(values: Sequence[float]) -> float:
    return min((value for value in values if not math.isnan(value)), default=math.inf)


def _p(side: Side) -> float:
    any_of, needed = side
    return max(min(1.0, any_of * math.erfc(-z / math.sqrt(2)) / 2) for z in needed)


def _times(side: Side, count: int = 1) -> float:
    """Standard errors fall as one over the square root of the number of images."""
    any_of, needed = side
    enough = NormalDist().inv_cdf(LEVEL / 2 / any_of / count)
    return max((enough / z) ** 2 if z < 0 else math.inf for z in needed)
