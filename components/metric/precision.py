from collections.abc import Sequence

import torch

from designspace.evaluation.manifold import OverlapMetric, overlap
from designspace.evaluation.measure import Draw, Measured, Sample, mean
from designspace.registry.component import Neighbours
from designspace.registry.literature import KYNKAANNIEMI_2019


class Precision(OverlapMetric, name="precision"):
    """The share of generated images that lie in a ball around some reference image.

    Here x are the n generated features, y the m reference features, and :math:`r_k(y_j)` is the distance from y_j to
    its k-th nearest neighbour among the y. The value lies between 0 and 1; it is 1 for copies of reference images. An
    image at a distance of exactly r_k lies inside, as in the paper; the package prdc leaves it out, so that values
    differ where distances tie, as they do for copies. The value is a mean over generated images, so its standard error
    is exact. Raises ``ValueError`` if either set has k images or fewer, or if all images of the reference are the same.
    """

    formula = r"\frac1n \left|\left\{i : |x_i - y_j| \le r_k(y_j) \text{ for some } j\right\}\right|"
    sources = (KYNKAANNIEMI_2019,)
    k: Neighbours = 3

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        inside = overlap(generated, reference, self.k).inside > 0
        return mean(torch.from_numpy(inside).double())

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> list[float]:
        return [1.0] * len(draws)  # each image of the reference lies in its own ball
