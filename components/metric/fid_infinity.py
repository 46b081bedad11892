from typing import ClassVar

import numpy as np
import torch

from designspace.evaluation.frechet import frechet, influence
from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.moments import Moments
from designspace.evaluation.rows import Metric
from designspace.registry.component import Count
from designspace.registry.literature import CHONG_2020
from designspace.sampling.noise import generator

SMALLEST = 10


class FIDInfinity(Metric, name="fid_infinity"):
    """The Fréchet distance extrapolated to infinitely many generated images, which removes the bias in 1 / n.

    The law is fitted by least squares to the distances of ``subsets`` random subsets of the n images, of evenly spaced
    sizes. It holds as long as n / 10 is well above the number of features d; otherwise a part of the bias remains. The
    value may be negative where the distance is small. As with ``frechet``, only the value on Inception features is
    called FID. The subsets depend on n and ``seed`` alone.

    The standard error is computed from the influences on the fit, with the reference taken as fixed. ``raw`` is the
    distance of all n images. Raises ``ValueError`` for fewer than 20 images, whose smallest subset would have fewer
    than 2.
    """

    formula = r"d^2(n_b) \approx d^2_\infty + \frac{c}{n_b}, \qquad n_b = \frac{n}{10}, \dots, n"
    sources = (CHONG_2020,)
    moments_suffice: ClassVar[bool] = True
    subsets: Count = 15
    seed: int = 0

    @property
    def least(self) -> int:
        return 2 * SMALLEST

    def called(self, frechet: str) -> str:
        own = super().called(frechet)
        return own.removesuffix("-inception") if frechet == "FID" else own.replace("FID", "FD", 1)

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        n = len(generated)
        if n < self.least:
            raise ValueError(f"subsets of n / {SMALLEST} images and more need at least {self.least} images, not {n}")
        sizes = np.linspace(n // SMALLEST, n, self.subsets).astype(int)
        weights = np.linalg.pinv(np.stack([np.ones(self.subsets), 1 / sizes], 1))[0]
        distances, effect = np.zeros(self.subsets), torch.zeros(n, dtype=torch.float64)
        for b, size in enumerate(sizes):
            chosen = torch.from_numpy(generator("fid_infinity", self.seed, b).permutation(n)[:size])
            some = generated.features[chosen]
            distances[b] = frechet(Moments.of(some), reference.moments)
            effect[chosen] += weights[b] * n / size * influence(some, reference.moments)
        value, se = float(weights @ distances), float(effect.std()) / n**0.5
        return Measured(value, se, effect.float(), extra={"raw": distances[-1]})
