"""Integrals of Lagrange polynomials: what multistep solvers weight their history with."""

from __future__ import annotations

import math
from collections.abc import Sequence


def lagrange(nodes: Sequence[float]) -> list[list[float]]:
    """The polynomials that are 1 at one of the (distinct) nodes and 0 at the others, by rising coefficients."""
    basis = []
    for j, node in enumerate(nodes):
        polynomial = [1.0]
        for other in (*nodes[:j], *nodes[j + 1 :]):  # times (u - other) / (node - other)
            terms = zip((0.0, *polynomial), (*polynomial, 0.0), strict=True)
            polynomial = [(lower - other * same) / (node - other) for lower, same in terms]
        basis.append(polynomial)
    return basis


def integrals(nodes: Sequence[float], start: float, end: float, rate: float = 0.0) -> list[float]:
    r"""For each node j, :math:`\int_a^b e^{r (u - b)} l_j(u)\, du`."""
    # Shifted to the start and scaled by the step, so that no power of a large number is subtracted.
    step = end - start
    moments = exponential_moments(len(nodes), rate * step)
    basis = lagrange([(node - start) / step for node in nodes])
    return [step * math.fsum(c * m for c, m in zip(polynomial, moments, strict=True)) for polynomial in basis]


def exponential_moments(count: int, z: float) -> list[float]:
    r""":math:`m_k = \int_0^1 v^k e^{z (v - 1)}\, dv`, k < count; by parts :math:`z\, m_k = 1 - k\, m_{k-1}`."""
    if abs(z) < 1.0:  # upwards the rule would divide small differences by z, downwards it forgets where it began
        moments = [0.0]
        for k in range(count + 18, 0, -1):
            moments.append((1 - z * moments[-1]) / k)
        return moments[: -count - 1 : -1]
    moments = [-math.expm1(-z) / z]
    for k in range(1, count):
        moments.append((1 - k * moments[-1]) / z)
    return moments
