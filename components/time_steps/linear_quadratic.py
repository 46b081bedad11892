from typing import Annotated

from pydantic import Field
from torch import Tensor

from designspace.registry.component import Fraction, NonNegative, Positive
from designspace.registry.literature import GENMO_2024
from designspace.sampling.levels import flow_levels, ramp
from designspace.sampling.rows import TimeSteps


class LinearQuadratic(TimeSteps, name="linear_quadratic"):
    r"""Small equal steps in the time of flow matching, and then steps that grow, as in Mochi and LTX-Video.

    The first ``linear_steps`` L of the N steps, by default half of them, spend the time ``threshold``. The times of the
    others lie on a parabola through t = 0 at i = N with the same slope at i = L. ``sigma_max`` and ``sigma_min`` limit
    the levels as in ``flow``. Genmo Team (2024).
    """

    formula = r"""
        \sigma_i = \tfrac{1 - a_i}{a_i}, \qquad
            a_i = \tfrac{i}{L}\, \mathrm{threshold} + q \max(i - L, 0)^2, \qquad
            q = \tfrac{L - N\, \mathrm{threshold}}{L (N-L)^2}, \quad i < N
    """
    sources = (GENMO_2024,)
    threshold: Fraction = 0.025
    linear_steps: Annotated[int, Field(ge=1)] | None = None
    sigma_min: NonNegative = 0.0
    sigma_max: Positive = 4096.0

    def sigmas(self, n: int) -> Tensor:
        i, L = ramp(n) * (n - 1), self.linear_steps or n // 2
        if not n * self.threshold <= L < n:
            needed = f"linear_steps = {L} has to be below {n} and at least threshold times {n}"
            raise ValueError(f"time_steps linear_quadratic: with {n} steps, {needed}")
        q = (L - n * self.threshold) / (L * (n - L) ** 2)
        a = i * self.threshold / L + q * (i - L).clamp(min=0).square()
        return flow_levels(1 - a, self.sigma_min, self.sigma_max)
