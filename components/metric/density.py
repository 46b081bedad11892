import torch

from designspace.evaluation.manifold import OverlapMetric, overlap
from designspace.evaluation.measure import Measured, Sample, mean
from designspace.registry.component import Neighbours
from designspace.registry.literature import NAEEM_2020


class Density(OverlapMetric, name="density"):
    """How many of the reference's images generated ones are near to, in units of k.

    with n generated features x, m reference features y, and :math:`r_k(y_j)` the distance of y_j to its k-th nearest
    neighbour among the y. About 1 for images of the reference's distribution, more where they crowd its dense parts; (k
    + 1) / k for copies of its images. An outlier of the reference counts as one image, where precision takes its ball
    for the reference's manifold. Naeem et al. (2020). It is a mean over generated images: the standard error is exact.
    Raises ``ValueError`` for k images or fewer of either set, and for a reference that is all the same.
    """

    formula = r"\frac1{k n} \sum_{i, j} 1\left[|x_i - y_j| \le r_k(y_j)\right]"
    sources = (NAEEM_2020,)
    k: Neighbours = 5

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        return mean(torch.from_numpy(overlap(generated, reference, self.k).inside / self.k))
