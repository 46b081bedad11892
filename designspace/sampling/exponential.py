r"""Weights of the exponential multistep methods, which step in :math:`\lambda = -\ln\sigma`.

With x / sigma as the state, Eq. 4 of Karras et al. (2022) is :math:`d(x/\sigma) = D\, d(e^\lambda)`: all that is
left to approximate is D over the step, by a polynomial in lambda through the last evaluations. The SDE that adds
:math:`\eta` times the noise of the reverse one steps as :math:`(1 + \eta) \lambda`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from designspace.sampling.quadrature import integrals


def data_weights(levels: Sequence[float], following: float, eta: float = 0.0) -> list[float]:
    r"""Exact weights of D: :math:`r \int_{\lambda_i}^{\lambda_{i+1}} e^{r (\lambda - \lambda_{i+1})} l_j\, d\lambda`.

    Here r = 1 + eta; ``levels`` are those of the evaluations, the first is where the step begins.
    """
    nodes, rate = [-math.log(level) for level in levels], 1 + eta
    return [rate * w for w in integrals(nodes, nodes[0], -math.log(following), rate)]


def noise_weights(levels: Sequence[float], following: float) -> list[float]:
    r"""Exact weights :math:`-\int_{\lambda_i}^{\lambda_{i+1}} e^{-\lambda} l_j\, d\lambda` of (x - D) / sigma."""
    nodes = [-math.log(level) for level in levels]
    return [-following * w for w in integrals(nodes, nodes[0], -math.log(following), -1.0)]


def published_weights(
    levels: Sequence[float], following: float, eta: float = 0.0, variant: str = "midpoint"
) -> list[float]:
    r"""Weights of D in DPM-Solver++(1), (2M) and (3M) as published, for one to three ``levels``, the newest first.

    (2M) approximates the integral over the slope by the midpoint rule, or has it exactly (``heun``); (3M) lacks a
    factor 2 before D''. With ``eta`` the step is that of the SDE variants: h becomes (1 + eta) h.
    """
    h = math.log(levels[0] / following)
    steps = [math.log(older / newer) for newer, older in pairwise(levels)]
    phi_1 = math.expm1(-(1 + eta) * h)
    if not steps:
        return [-phi_1]
    phi_2 = phi_1 / ((1 + eta) * h) + 1
    if len(steps) == 1:
        slope = (-phi_1 / 2 if variant == "midpoint" else phi_2) * h / steps[0]
        return [-phi_1 + slope, -slope]
    return _third_order(h, steps, phi_1, phi_2, phi_2 / ((1 + eta) * h) - 0.5)


def _third_order(h: float, steps: Sequence[float], phi_1: float, phi_2: float, phi_3: float) -> list[float]:
    r_0, r_1 = steps[0] / h, steps[1] / h
    newer = (phi_2 * (1 + r_0 / (r_0 + r_1)) - phi_3 / (r_0 + r_1)) / r_0  # of D_i - D_(i-1)
    older = (-phi_2 * r_0 / (r_0 + r_1) + phi_3 / (r_0 + r_1)) / r_1  # of D_(i-1) - D_(i-2)
    return [-phi_1 + newer, older - newer, -older]


def reverse_sde(sigma: float, following: float, eta: float) -> tuple[float, float]:
    r"""Split a step of that SDE into one down to :math:`\sigma_\downarrow` and noise :math:`\sigma_\uparrow` back up.

    .. math:: \sigma_\downarrow = b\, (b/a)^\eta, \qquad \sigma_\uparrow = b \sqrt{1 - (b/a)^{2\eta}}

    with a = ``sigma``, b = ``following``: exact for a constant D. Lu et al. (2022), https://arxiv.org/abs/2211.01095.
    """
    h = math.log(sigma / following)
    return following * math.exp(-eta * h), following * math.sqrt(-math.expm1(-2 * eta * h))
