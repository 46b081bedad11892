from typing import ClassVar

from designspace.sampling.rows import Stochasticity


class NoStochasticity(Stochasticity, name="none"):
    r"""Deterministic sampling: no noise is added.

    .. math:: \hat\sigma = \sigma

    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Algorithm 1.
    """

    noisy: ClassVar[bool] = False

    def lift(self, sigma: float, num_steps: int) -> tuple[float, float]:
        return sigma, 1.0
