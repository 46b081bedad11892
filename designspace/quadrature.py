"""Integrals of Lagrange polynomials: what multistep solvers weight their history with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial


def lagrange(nodes: Sequence[float]) -> list[Polynomial]:
    """The polynomials that are 1 at one of the (distinct) nodes and 0 at the others."""
    basis = []
    for j, node in enumerate(nodes):
        others = [other for k, other in enumerate(nodes) if k != j]
        unscaled = Polynomial.fromroots(others) if others else Polynomial([1.0])
        basis.append(unscaled / math.prod(node - other for other in others))
    return basis


def integrals(nodes: Sequence[float], start: float, end: float) -> list[float]:
    r"""For each node j, :math:`\int_a^b l_j(u)\, du`."""
    # Shifted to the start and scaled by the step, so that no power of a large number is subtracted.
    step = end - start
    shifted = [(node - start) / step for node in nodes]
    return [float(step * basis.integ()(1.0)) for basis in lagrange(shifted)]


def exponential_integrals(nodes: Sequence[float], start: float, end: float, rate: float) -> list[float]:
    r"""For each node j, :math:`\int_a^b e^{r (u - b)} l_j(u)\, du`, exactly for polynomials."""
    step = end - start
    shifted = [(node - end) / step for node in nodes]
    moments = exponential_moments(len(nodes), rate * step)
    return [float(step * np.dot(basis.coef, moments[: len(basis.coef)])) for basis in lagrange(shifted)]


def exponential_moments(count: int, z: float) -> list[float]:
    r""":math:`m_k = \int_{-1}^0 v^k e^{z v}\, dv`, k < count."""
    if abs(z) < 1.0:  # the recursion would divide small differences by z: sum the series instead
        return [_series_moment(k, z) for k in range(count)]
    moments = [-math.expm1(-z) / z]
    for k in range(1, count):
        moments.append((-((-1.0) ** k) * math.exp(-z) - k * moments[-1]) / z)
    return moments


def _series_moment(k: int, z: float) -> float:
    terms = (z**m / math.factorial(m) * (-1) ** (k + m) / (k + m + 1) for m in range(25))
    return math.fsum(terms)
