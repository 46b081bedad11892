r"""Exponential methods, which step in :math:`\lambda = -\ln\sigma`.

With x / sigma as the state, Eq. 4 of Karras et al. (2022) is :math:`d(x/\sigma) = D\, d(e^\lambda)`. All that is left
to approximate is D over the step: by its values at stages within the step, or by a polynomial in lambda through the
last evaluations. An SDE with :math:`\eta` times the noise of the reverse SDE is stepped in :math:`(1 + \eta) \lambda`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

from torch import Tensor

from designspace.sampling.flow import Flow, combine
from designspace.sampling.multistep import integrals
from designspace.sampling.solver import Solver


class Stage(NamedTuple):
    r"""A stage of a one-step method: :math:`x_k = \frac{\sigma_k}{\sigma} x + \sum_j w_j D_j`."""

    sigma: float
    weights: tuple[float, ...] = ()
    """The weights of D at the second stage and later. The first has the rest: with that of x, all weights sum to 1."""


class SingleStep(Solver):
    """A one-step exponential method. The step to sigma = 0 returns D; schedule and scaling have no effect."""

    in_time: ClassVar[bool] = False

    @abstractmethod
    def stages(self, sigma: float, following: float) -> Sequence[Stage]:
        """The stages after the first in the step from ``sigma`` to ``following``; the last is the end of the step."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        following = flow.sigma[i + 1]
        if following == 0:
            return flow.D(x, sigma), None
        return through(flow, x, sigma, self.stages(sigma, following)), None


def through(flow: Flow, x: Tensor, sigma: float, stages: Sequence[Stage]) -> Tensor:
    """``x`` at the last of ``stages``, with an evaluation of D at the start and at each stage but the last."""
    evaluated = [flow.D(x, sigma)]
    for stage in stages[:-1]:
        evaluated.append(flow.D(_at(stage, x, sigma, evaluated), stage.sigma))
    return _at(stages[-1], x, sigma, evaluated)


def _at(stage: Stage, x: Tensor, sigma: float, evaluated: Sequence[Tensor]) -> Tensor:
    ratio = stage.sigma / sigma
    first = 1 - ratio
    for weight in stage.weights:
        first -= weight
    terms = [(first, evaluated[0])] if abs(first) > 1e-15 else []  # DPM-Solver++(2S) with r = 1/2 has no such term
    return combine((ratio, x), *terms, *zip(stage.weights, evaluated[1:], strict=True))


def dpm_solver_2(a: float, b: float, r: float = 0.5) -> tuple[Stage, Stage]:
    r"""The stages of DPM-Solver-2 from a to b, which takes (x - D) / sigma to be linear in lambda.

    The second evaluation is at :math:`a^{1-r} b^r`. Lu et al. (2022), https://arxiv.org/abs/2206.00927.
    """
    m = a ** (1 - r) * b**r
    return Stage(m), Stage(b, ((a - b) / (2 * r * m),))


def dpmpp_2s(a: float, b: float, r: float = 0.5) -> tuple[Stage, Stage]:
    r"""The stages of DPM-Solver++(2S) from a to b, which takes D to be linear in lambda.

    The second evaluation is at :math:`a^{1-r} b^r`. Lu et al. (2022), https://arxiv.org/abs/2211.01095.
    """
    return Stage(a ** (1 - r) * b**r), Stage(b, ((a - b) / (2 * r * a),))


def data_weights(levels: Sequence[float], following: float, eta: float = 0.0) -> list[float]:
    r"""Exact weights of D: :math:`r \int_{\lambda_i}^{\lambda_{i+1}} e^{r (\lambda - \lambda_{i+1})} l_j\, d\lambda`.

    Here r = 1 + eta. ``levels`` are the noise levels of the evaluations; the step begins at the first.
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
    r"""Weights of D in DPM-Solver++(1), (2M) and (3M) as published, for one to three ``levels``, newest first.

    (2M) approximates the integral over the slope of D by the midpoint rule, or computes it exactly (``heun``). (3M)
    lacks a factor of 2 before D''. With ``eta``, the step is that of the SDE variants, in which h becomes (1 + eta) h.
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
    r"""Split a step of the SDE into a step of the ODE to :math:`\sigma_\downarrow` and noise :math:`\sigma_\uparrow`.

    .. math:: \sigma_\downarrow = b\, (b/a)^\eta, \qquad \sigma_\uparrow = b \sqrt{1 - (b/a)^{2\eta}}

    with a = ``sigma`` and b = ``following``. The split is exact for a constant D.
    Lu et al. (2022), https://arxiv.org/abs/2211.01095.
    """
    h = math.log(sigma / following)
    return following * math.exp(-eta * h), following * math.sqrt(-math.expm1(-2 * eta * h))
