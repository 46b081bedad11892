"""Tests at the 5 % level in the normal approximation, and the combination of several tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np

LEVEL = 0.05
"""The level of a two-sided test; each side has half of it."""
POWER = 0.8
"""The probability with which a stated number of images decides a claim, if the estimates are right."""
SEQUENTIAL = -2 * math.log(LEVEL) + math.log(-2 * math.log(LEVEL) + 1)
"""The parameter of always-valid intervals for which they are narrowest when all planned images are there."""
LARGEST_Z = 8.0
"""Larger z-values would come from p-values that double precision cannot resolve."""


class Outcome(StrEnum):
    """What the evidence says about a claim."""

    HOLDS = "holds"
    """At every budget, if it is judged at several."""
    PART = "holds in part"
    """It holds at some budgets and is contradicted or undecided at others."""
    FAILS = "does not hold"
    """It is contradicted at some budget and holds at none."""
    UNDECIDED = "undecided"
    MISSING = "not computed"


def two_sided(z: float) -> float:
    """The two-sided p-value of an estimate that lies ``z`` standard errors from 0; NaN if ``z`` is NaN."""
    return math.erfc(abs(z) / math.sqrt(2))


def as_normal(t: float, degrees: float) -> float:
    """The z-value that has the same p-value as ``t`` has under Student's distribution.

    Finite values are limited to ``LARGEST_Z``; infinity and NaN are returned unchanged.
    """
    from scipy.special import ndtri, stdtr  # imported here, because it takes 0.2 s and few reports need it

    if not math.isfinite(t):
        return t
    tail = max(float(stdtr(degrees, -abs(t))), 1e-16)
    return math.copysign(min(LARGEST_Z, -float(ndtri(tail))), t)


def as_student(z: float, degrees: float) -> float:
    """The value with the same p-value under Student's distribution as ``z`` has under the normal one."""
    from scipy.special import ndtr, stdtrit

    return math.copysign(-float(stdtrit(degrees, ndtr(-abs(z)))), z)


def holm(ps: Sequence[float]) -> list[float]:
    r"""Holm's correction of p-values for multiple testing; the order is kept.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})

    Rejecting those that are at most 5 % keeps the family-wise error rate at 5 %, whatever the dependence of the tests.
    NaN marks a comparison that could not be made: it stays NaN and does not count towards ``m``.
    Holm (1979), A simple sequentially rejective multiple test procedure, https://www.jstor.org/stable/4615733.
    """
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    corrected, largest = [math.nan] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * ps[i]))
        corrected[i] = largest
    return corrected


def with_best(ps: Sequence[float]) -> list[float]:
    r"""p-values of comparisons with the *observed* best of K arms, corrected for all pairs of arms.

    .. math:: \tilde p_i = \min\left(1, \tfrac{K (K - 1)}{2}\, p_i\right), \qquad K - 1 \text{ comparisons}

    Which arm is the best is seen in the same data, so that any of the K (K - 1) / 2 pairs may be compared: a correction
    for the K - 1 comparisons alone would call some of K equal arms different in up to 25 % of all cases (K = 24). With
    this one, the probability that any equal arms are called different is at most 5 %, whatever the dependence of the
    arms. NaN marks a comparison that could not be made.
    """
    pairs = len(ps) * (len(ps) + 1) / 2
    return [p if math.isnan(p) else min(1.0, pairs * p) for p in ps]


def always_valid(z: float, n: int, planned: int) -> float:
    r"""The two-sided p-value that is valid however often the results are looked at, with ``n`` of ``planned`` images.

    .. math:: p = \min\left(1, \sqrt{k + 1}\, e^{-z^2 k / (2 (k + 1))}\right), \qquad
              k = \frac{n}{n_\text{planned}} (-2 \ln \alpha + \ln(-2 \ln \alpha + 1))

    If there is no difference, it falls to 5 % at any time with a probability of at most 5 %. The p-value for a fixed
    number of images does so in 22 % of cases if one looks seven times, each time at twice as many images. It belongs to
    the asymptotic confidence sequence of Waudby-Smith et al. (2021), Time-uniform central limit theory and asymptotic
    confidence sequences, https://arxiv.org/abs/2103.06476.
    """
    k = SEQUENTIAL * n / planned
    return z if math.isnan(z) else min(1.0, math.sqrt(k + 1) * math.exp(-(z**2) * k / (2 * (k + 1))))


def always_valid_width(n: int, planned: int) -> float:
    """The half-width in standard errors of the interval that belongs to ``always_valid``."""
    k = SEQUENTIAL * n / planned
    return math.sqrt(2 * (k + 1) / k * math.log(math.sqrt(k + 1) / LEVEL))


def as_always_valid(z: np.ndarray, n: int, planned: int) -> np.ndarray:
    """z-values whose two-sided p-values are those of ``always_valid``."""

    def one(each: float) -> float:
        p = max(always_valid(each, n, planned), 1e-300)
        return math.copysign(-NormalDist().inv_cdf(p / 2), each) if p < 1 else 0.0 * each

    return np.array([[one(each) for each in row] for row in z.tolist()])


@dataclass(frozen=True)
class ClaimTest:
    """The combined test of all statements of a claim."""

    p_for: float
    """The one-sided p-value under the null hypothesis that the claim is false."""
    p_against: float
    """The one-sided p-value under the null hypothesis that the claim is true."""
    times: float
    """The factor on the number of images with which the claim would be decided with a probability of ``POWER``.

    It presumes that the estimates are right; it is infinite if no number of images decides the claim."""
    alternatives: int = 1
    """The number of alternatives for which ``p`` has Bonferroni's correction."""

    @property
    def p(self) -> float:
        """The two-sided p-value; the claim is decided if it is at most 5 %."""
        return min(1.0, 2 * min(self.p_for, self.p_against))

    @property
    def outcome(self) -> Outcome:
        """Whether the claim holds, fails or is undecided, each side tested at 2.5 %."""
        return self.among(1)

    def among(self, tests: int) -> Outcome:
        """The outcome after Bonferroni's correction for this number of such tests."""
        if self.p_for <= LEVEL / 2 / tests:
            return Outcome.HOLDS
        return Outcome.FAILS if self.p_against <= LEVEL / 2 / tests else Outcome.UNDECIDED


def evidence(statements: Sequence[np.ndarray], count: int | None = None) -> ClaimTest:
    r"""Test a claim of several statements, all of which must be true.

    A statement with ``z`` of shape ``[S, C]`` says that the lowest of S numbers is below the lowest of C others, where
    :math:`z_{sc}` is their difference in standard errors. Shape ``[1, 1]`` says that one difference is below 0.

    *Within a statement.* :math:`\min_s \mu_s < \min_c \mu_c` is true if for each c some s is lower. Its p-value is
    :math:`p = \max_c \min(1, S \min_s \Phi(z_{sc}))`. For each c, any s suffices, hence Bonferroni's correction by S.
    All c are needed, which calls for no correction: the statement is false only if some c is at least as low as every
    s, and the p-value of that c alone is below alpha with probability at most alpha (intersection-union test). The
    p-value against the statement exchanges s and c: :math:`p = \max_s \min(1, C \min_c \Phi(-z_{sc}))`.

    *Over the statements.* The claim holds if every statement does: its p-value is the largest one, uncorrected
    (intersection-union). It fails if some statement is contradicted: its p-value is the smallest one after Holm's
    correction for all ``count`` statements.

    Both sides are tested at 2.5 %. A z-value of NaN is no evidence for either side. Berger (1982), Multiparameter
    hypothesis testing and acceptance sampling, https://doi.org/10.2307/1267823; ``holm``.

    Args:
        statements: The z-values of each statement that was measured.
        count: The total number of statements, measured or not.
    """
    count = count or len(statements)
    sides = [_sides(z) for z in statements]
    p_for, alternatives_for = max((_p(lower), lower[0]) for lower, _ in sides)
    p_against, alternatives_against = min((_p(higher), higher[0]) for _, higher in sides)
    p_against = min(1.0, count * p_against)
    alternatives = alternatives_for if p_for <= p_against else count * alternatives_against
    times_for = _times([test for lower, _ in sides for test in _tests(lower)])
    times_against = min(_times(_tests(higher, count)) for _, higher in sides)
    return ClaimTest(p_for, p_against, max(1.0, min(times_for, times_against)), alternatives)


Side = tuple[int, list[float]]
"""The number of alternatives, any of which suffices, and the lowest z-value among them for each needed comparison."""


def _sides(z: np.ndarray) -> tuple[Side, Side]:
    """The evidence for the statement and against it."""
    rows = z.tolist()
    columns = list(zip(*rows, strict=True))
    return (len(rows), [_lowest(c) for c in columns]), (len(columns), [_lowest([-x for x in row]) for row in rows])


def _lowest(values: Sequence[float]) -> float:
    return min((value for value in values if not math.isnan(value)), default=math.inf)


def _p(side: Side) -> float:
    alternatives, needed = side
    return max(min(1.0, alternatives * math.erfc(-z / math.sqrt(2)) / 2) for z in needed)


def _tests(side: Side, count: int = 1) -> list[tuple[float, float]]:
    """The z-value of each needed comparison, and how far below 0 it must lie."""
    alternatives, needed = side
    critical = -NormalDist().inv_cdf(LEVEL / 2 / alternatives / count)
    return [(z, critical) for z in needed]


def _times(tests: Sequence[tuple[float, float]]) -> float:
    r"""The factor t on the number of images with which all ``tests`` succeed with a probability of ``POWER`` or more.

    The z-values grow with :math:`\sqrt t`, and a test with the critical value c fails with a probability of
    :math:`\Phi(c - \sqrt t\, |z|)`. The factor makes the sum of these, which bounds the probability that any fails,
    1 - ``POWER``. For a single test, :math:`t = ((c + 0.84) / z)^2`.
    """
    if any(z >= 0 for z, _ in tests):
        return math.inf
    cdf, share = NormalDist().cdf, NormalDist().inv_cdf(1 - (1 - POWER) / len(tests))
    low = max((critical + NormalDist().inv_cdf(POWER)) / -z for z, critical in tests)
    high = max((critical + share) / -z for z, critical in tests)  # where each fails with an equal share of 1 - POWER
    for _ in range(50):
        root = (low + high) / 2
        fails = sum(cdf(critical + root * z) for z, critical in tests)
        low, high = (root, high) if fails > 1 - POWER else (low, root)
    return high**2
