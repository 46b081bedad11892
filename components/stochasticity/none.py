from typing import ClassVar

from designspace.registry.literature import KARRAS_2022
from designspace.sampling.rows import Stochasticity


class NoStochasticity(Stochasticity, name="none"):
    """Deterministic sampling: no noise is added.

    Karras et al. (2022), Algorithm 1.
    """

    formula = r"\hat\sigma = \sigma"
    sources = (KARRAS_2022,)
    noisy: ClassVar[bool] = False

    def lift(self, sigma: float, num_steps: int) -> tuple[float, float]:
        return sigma, 1.0
