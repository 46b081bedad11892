r"""Second order from two evaluations, the second in between, at :math:`m = a^{1-r} b^r` of a step from a to b.

Both methods are, with different :math:`w`,

.. math:: x' = \tfrac{b}{a} x + (1 - \tfrac{b}{a} - w)\, D(x; a) + w\, D(y; m), \qquad
    y = \tfrac{m}{a} x + (1 - \tfrac{m}{a})\, D(x; a)

and the step to 0 returns D. States are ``[B, ...]``; the result shares no memory with ``x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from designspace.sampling.flow import Flow, combine


def dpm_solver_2(flow: Flow, x: Tensor, a: float, b: float, r: float = 0.5) -> Tensor:
    """With w = (a - b) / 2rm: (x - D) / sigma is linear. Lu et al. (2022), https://arxiv.org/abs/2206.00927."""
    return _two_stages(flow, x, a, b, r, lambda m: (a - b) / (2 * r * m))


def dpmpp_2s(flow: Flow, x: Tensor, a: float, b: float, r: float = 0.5) -> Tensor:
    """With w = (a - b) / 2ra: D is linear. Lu et al. (2022), https://arxiv.org/abs/2211.01095."""
    return _two_stages(flow, x, a, b, r, lambda m: (a - b) / (2 * r * a))


def _two_stages(flow: Flow, x: Tensor, a: float, b: float, r: float, weight: Callable[[float], float]) -> Tensor:
    denoised = flow.D(x, a)
    if b == 0:
        return denoised
    m = a ** (1 - r) * b**r
    denoised_m = flow.D(combine((m / a, x), (1 - m / a, denoised)), m)
    on_x, on_m = b / a, weight(m)
    if math.isclose(on_x + on_m, 1, rel_tol=0, abs_tol=1e-15):  # DPM-Solver++(2S) with r = 1/2
        return combine((on_x, x), (on_m, denoised_m))
    return combine((on_x, x), (1 - on_x - on_m, denoised), (on_m, denoised_m))
