import torch

from designspace.evaluation.manifold import OverlapMetric, overlap
from designspace.evaluation.measure import Measured, Sample, mean
from designspace.registry.component import Neighbours
from designspace.registry.literature import KYNKAANNIEMI_2019


class Precision(OverlapMetric, name="precision"):
    """The share of generated images that look like the reference's: they lie in a ball around one of its images.

    with n generated features x, m reference features y, and :math:`r_k(y_j)` the distance of y_j to its k-th nearest
    neighbour among the y. From 0 to 1; 1 for images that are copies of the reference's. Kynkäänniemi et al. (2019). It
    is a mean over generated images: the standard error is exact. Raises ``ValueError`` for k images or fewer of either
    set, and for a reference that is all the same.
    """

    formula = r"\frac1n \left|\left\{i : |x_i - y_j| \le r_k(y_j) \text{ for some } j\right\}\right|"
    sources = (KYNKAANNIEMI_2019,)
    k: Neighbours = 3

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        inside = overlap(generated, reference, self.k).inside > 0
        return mean(torch.from_numpy(inside).double())
