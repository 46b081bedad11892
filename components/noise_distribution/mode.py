import math
from typing import Annotated

from pydantic import Field
from torch import Tensor

from designspace.registry.literature import ESSER_2024
from designspace.training.rows import NoiseDistribution


class Mode(NoiseDistribution, name="mode"):
    r"""Mode sampling with heavy tails of SD3: a density over the time of flow matching that is positive at both ends.

    With t = :math:`\sigma / (1 + \sigma)`, the middle :math:`\sigma = 1` is preferred if ``s`` is positive, the ends
    are if it is negative, and t is uniform with ``s`` = 0. The quantile function is monotone for s from -1 to 1.75, and
    it decreases. Esser et al. (2024), Section 3.1.
    """

    formula = r"\sigma = t / (1 - t), \quad t = 1 - u - s \left(\cos^2(\tfrac\pi2 u) - 1 + u\right), \quad 0 < u < 1"
    sources = (ESSER_2024,)
    s: Annotated[float, Field(ge=-1, le=1.75)] = 1.29

    def from_uniform(self, u: Tensor) -> Tensor:
        return self._time(1 - u) / self._time(u)  # 1 - t(u) = t(1 - u), which is accurate at both ends

    def _time(self, v: Tensor) -> Tensor:
        """The time t for u = 1 - v."""
        return v + self.s * (v - (math.pi / 2 * v).sin().square())
