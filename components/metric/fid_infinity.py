from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

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
        n, value, raw = len(generated), 0.0, 0.0
        effect = torch.zeros(n, dtype=torch.float64)
        for chosen, weight in self._subsets(n):
            some = generated.features[chosen]
            raw = frechet(Moments.of(some), reference.moments)
            value += weight * raw
            effect[chosen] += weight * n / len(chosen) * influence(some, reference.moments)
        return Measured(value, float(effect.std()) / n**0.5, effect.float(), extra={"raw": raw})

    def value(self, generated: Sample, reference: Sample) -> float:
        subsets = self._subsets(len(generated))
        return sum(w * frechet(Moments.of(generated.features[some]), reference.moments) for some, w in subsets)

    def _subsets(self, n: int) -> Iterator[tuple[Tensor, float]]:
        """The images of each subset and the weight of its distance in the value; the last one has all images."""
        if n < self.least:
            raise ValueError(f"subsets of n / {SMALLEST} images and more need at least {self.least} images, not {n}")
        sizes = np.linspace(n // SMALLEST, n, self.subsets).astype(int)
        weights = np.linalg.pinv(np.stack([np.ones(self.subsets), 1 / sizes], 1))[0]
        for b, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
            yield torch.from_numpy(generator("fid_infinity", self.seed, b).permutation(n)[:size]), float(weight)
