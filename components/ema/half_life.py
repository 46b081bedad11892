from designspace.registry.component import Fraction, Positive
from designspace.registry.literature import KARRAS_2022
from designspace.training.rows import EMA

LEAST = 1e-8
"""The shortest half-life in images, which prevents divisions by 0."""


class HalfLife(EMA, name="half_life"):
    r"""Exponential weights whose half-life grows with the training until it reaches ``half_life``.

    n is the number of images seen before the step, and B the batch size. The half-life is ``half_life`` images (h) or
    the fraction ``ramp_up`` (r) of the images seen, whichever is less. In the first step n = 0, and the average becomes
    equal to the parameters. Karras et al. (2022), Appendix F.2.
    """

    formula = r"\hat\theta \gets \beta \hat\theta + (1 - \beta) \theta, \quad \beta = 2^{-B / \min(h, r n)}"
    sources = (KARRAS_2022,)
    half_life: Positive = 50_000.0
    ramp_up: Fraction = 0.05

    def decay(self, images: int, batch_size: int) -> float:
        half_life = min(self.half_life, self.ramp_up * images)
        return float(0.5 ** (batch_size / max(half_life, LEAST)))
