from collections.abc import Sequence

import torch

from designspace.evaluation.manifold import OverlapMetric, overlap
from designspace.evaluation.measure import Draw, Measured, Sample, mean
from designspace.evaluation.overlap_of_draws import overlap_of_draws
from designspace.registry.component import Neighbours
from designspace.registry.literature import NAEEM_2020


class Density(OverlapMetric, name="density"):
    """The number of reference balls around each generated image, in units of k.

    Here x are the n generated features, y the m reference features, and :math:`r_k(y_j)` is the distance from y_j to
    its k-th nearest neighbour among the y. The value is about 1 for images of the reference's distribution, higher
    where they crowd its dense regions. An image at a distance of exactly r_k lies inside; the authors' package prdc
    leaves it out. The value for copies of all images of the reference is therefore (k + 1) / k, and 1 in prdc. An
    outlier of the reference counts as one image, whereas precision counts its whole ball. The value is a mean over
    generated images, so its standard error is exact. Raises ``ValueError`` if either set has k images or fewer, or if
    all images of the reference are the same.
    """

    formula = r"\frac1{k n} \sum_{i, j} 1\left[|x_i - y_j| \le r_k(y_j)\right]"
    sources = (NAEEM_2020,)
    k: Neighbours = 5

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        return mean(torch.from_numpy(overlap(generated, reference, self.k).inside / self.k))

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> Sequence[float]:
        if (counted := overlap_of_draws(reference, draws, self.k)) is None:
            return super().drawn(reference, draws)
        return [found.inside / (self.k * len(draws[0])) for found in counted]
